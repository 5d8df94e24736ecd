#!/usr/bin/python3
"""lint.shellcheck ROOT: shellcheck is content with every shell script, whatever its name."""

import os
import re
import sys

import tree

SHEBANG = re.compile(rb"#!\s*(/usr)?/bin/(env\s+)?(sh|bash|dash)\b")


def is_script(root, name):
    if name.endswith(".sh"):
        return True
    with open(os.path.join(root, name), "rb") as file:
        return SHEBANG.match(file.read(64)) is not None


def main():
    root = tree.root_of(sys.argv)
    tree.need("shellcheck")
    names = [name for name in tree.files(root) if is_script(root, name)]

    def check(name):
        status, output = tree.run(["shellcheck", "--external-sources", "--format=gcc", name], root)
        return output if status != 0 else None

    tree.finish([finding for finding in tree.each(check, names) if finding], len(names), "scripts")


main()
