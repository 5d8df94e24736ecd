#!/usr/bin/python3
"""lint.leftovers ROOT: nothing unfinished, nothing of the machine it was written on, no tabs or
blanks at line ends where they mean nothing."""

import os
import re
import sys

import tree

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
C_LIKE = (".c", ".h", ".py", ".sh", ".cmake", ".yaml", ".json")


def machine_paths(root):
    """Where this checkout is, and the home folder: a path that works here and nowhere else.

    Whole paths: a checkout in /acmeward does not stand in /etc/acmeward/ or ${PREFIX}/acmeward/.
    """
    paths = {root + "/", os.path.expanduser("~") + "/"}
    return [re.compile(r"(?<![\w.~$%*@+)}>\]-])" + re.escape(path)) for path in paths if len(path) > 2]


def findings_of(root, name, paths):
    try:
        text = tree.read(root, name)
    except UnicodeDecodeError:
        return  # data
    if text and not text.endswith("\n") and name.endswith(C_LIKE):
        yield f"{name}: no newline at the end"
    for number, line in enumerate(text.split("\n"), 1):
        unfinished = UNFINISHED.search(line)
        if unfinished:
            yield f"{name}:{number}: {unfinished.group()}: finish it or file an issue"
        for path in paths:
            found = path.search(line)
            if found:
                yield f"{name}:{number}: {found.group()} is a path of this machine"
        if name.endswith(C_LIKE) and (line != line.rstrip() or "\t" in line):
            yield f"{name}:{number}: a tab or a blank at the end of the line"


def main():
    root = tree.root_of(sys.argv)
    paths = machine_paths(root)
    # Test data may hold anything: bad input is its purpose.
    names = [name for name in tree.files(root)
             if name != "LICENSE" and not re.search(r"(^|/)(data|corpus)/", name)]
    tree.finish([finding for name in names for finding in findings_of(root, name, paths)],
                len(names))


main()
