#!/usr/bin/python3
"""lint.format ROOT: clang-format would change nothing."""

import sys

import tree


def main():
    root = tree.root_of(sys.argv)
    tree.need("clang-format")
    names = tree.sources(root)

    def check(name):
        status, output = tree.run(["clang-format", "--dry-run", "-Werror", name], root)
        first = output.splitlines()[0] if output else "clang-format failed"
        return f"{first}\n  repair: clang-format -i {name}" if status != 0 else None

    tree.finish([finding for finding in tree.each(check, names) if finding], len(names))


main()
