#!/usr/bin/python3
"""lint.sizes ROOT: no C file over 600 lines, no function over 80. clang-tidy looks at functions of
the product too, not at tests."""

import re
import sys

import tree

FILE_MAX = 600
FUNCTION_MAX = 80


def functions(lines):
    """(name, lines between its braces) of each function: the house's format has both in column 0."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            above = start - 1
            while above >= 0 and not re.match(r"\w+\(", lines[above]):
                above -= 1
            yield lines[above].split("(")[0], number - start - 1
            start = None


def look(name, text):
    """What is wrong with a file."""
    lines = text.split("\n")
    if len(lines) - 1 > FILE_MAX:
        yield f"{name}: {len(lines) - 1} lines, over {FILE_MAX}: make two nouns of it"
    for function, size in functions(lines):
        if size > FUNCTION_MAX:
            yield f"{name}: {function}() has {size} lines, over {FUNCTION_MAX}"


def main():
    root = tree.root_of(sys.argv)
    names = tree.sources(root)
    tree.finish([finding for name in names for finding in look(name, tree.read(root, name))],
                len(names), "files")


if __name__ == "__main__":
    main()
