#!/usr/bin/python3
"""lint.described ROOT: each header of the product says what it is for (@file, @brief), and each of
its prototypes has a Doxygen comment of its own, or that of its group (@name, @{ to @})."""

import re
import sys

import tree

FILE = re.compile(r"^/\*\*[\s*]*@file \S+[\s*]*@brief ", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# After comments are out: from column 0 to the semicolon, with parameters, without a body.
PROTOTYPE = re.compile(r"^(?!typedef\b|extern\b|#)[a-zA-Z][^;{}#=]*?\b(\w+)\([^;{}]*\)[^;{}()]*;",
                       re.M)
# Comments become marks as long as they were, so that places stay: one for what documents the next
# declaration, one for what documents the last, one for each end of a group.
NEXT, LAST, OPEN, CLOSE, PLAIN = "\1", "\2", "\3", "\4", " "


def mark(comment):
    """A comment as marks, its lines kept."""
    text = comment.group()
    if not text.startswith("/**"):
        kind = PLAIN
    elif "@{" in text:
        kind = OPEN
    elif "@}" in text:
        kind = CLOSE
    else:
        kind = LAST if text.startswith("/**<") else NEXT
    return kind + re.sub(r"[^\n]", " ", text[1:])


def bare(text):
    """(line, name) of each prototype that nothing documents."""
    marked = COMMENT.sub(mark, text)
    for found in PROTOTYPE.finditer(marked):
        before, behind = marked[:found.start()].rstrip(" \n"), marked[found.end():].lstrip(" ")
        grouped = before.rfind(OPEN) > before.rfind(CLOSE)
        if not (grouped or before.endswith(NEXT) or behind.startswith(LAST)):
            yield marked.count("\n", 0, found.start()) + 1, found.group(1)


def look(name, text):
    """What is wrong with a header."""
    if not FILE.search(text):
        yield f"{name}: does not begin with a comment /** @file, @brief"
    for line, function in bare(text):
        yield f"{name}:{line}: {function}() has no /** comment: what one cannot see (owner, errors, limits)"


def main():
    root = tree.root_of(sys.argv)
    names = tree.sources(root, tree.LAYERS, (".h",))
    tree.finish([finding for name in names for finding in look(name, tree.read(root, name))],
                len(names), "headers")


if __name__ == "__main__":
    main()
