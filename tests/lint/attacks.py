#!/usr/bin/python3
"""lint.attacks ROOT: docs/attacks.md and the tests tell of the same attacks.

Each number of the catalogue stands in the name of a test or of a row ("attack 48: ...",
attack_88a_finalize_again, "attacks 42 to 45") in every test that its line names; each number in
such a name has a line; each tag of a refusal is a string of the sources. A number in a comment is
no test.
"""

import glob
import io
import os
import re
import sys
import tokenize

import tree

CATALOGUE = "docs/attacks.md"
# | 88a | what is tried | `tag`, `tag` | `unit.ledger`, `e2e.issue` |
LINE = re.compile(r"^\| (\d+[a-z]?) \| (.+?) \| (.+?) \| (.+?) \|$")
NUMBER = r"\d+[a-z]?\d?"
NAMED = re.compile(r"[Aa]ttack[ _](%s)(?![0-9a-z])|[Aa]ttacks?[ _](%s(?:(?:, |_and_|_to_|_| and | to )%s)+)"
                   r"(?![0-9a-z])" % (NUMBER, NUMBER, NUMBER))
RANGE = re.compile(r"(\d+)(?: to |_to_)(\d+)")
PLACES = {"unit": "tests/unit/*/test_{}.c", "e2e": "tests/e2e/test_{}.py",
          "fuzz": "tests/fuzz/{}.c", "fixture": "softhsm-fixtures/test_{}.*"}
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL)


def without_comments(name, text):
    """Names are code and literals: what a comment says is not run."""
    if name.endswith(".py"):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return "\n".join(token.string for token in tokens if token.type != tokenize.COMMENT)
    if name.endswith((".c", ".h")):
        return COMMENT.sub(lambda match: match.group(1) or " ", text)
    return "\n".join(line for line in text.split("\n") if not line.startswith("#"))


def numbers_in(text):
    """Every number that the names in a text give."""
    for one, several in NAMED.findall(text):
        named = one or several
        yield from re.findall(NUMBER, named)
        for first, last in RANGE.findall(named):
            yield from (str(number) for number in range(int(first), int(last) + 1))


def numbers_of_tests(root):
    """File of a test: the numbers in its names."""
    names = [name for name in tree.files(root)
             if name.startswith("tests/") and name.endswith((".c", ".py", ".txt", ".yaml", ".sh"))
             and not re.search(r"/(corpus|lint)/", name)]
    return {name: set(numbers_in(without_comments(name, tree.read(root, name)))) for name in names}


def lines_of(root):
    """Number of a line in the file, and its four columns."""
    for number, line in enumerate(tree.read(root, CATALOGUE).split("\n"), 1):
        match = LINE.match(line)
        if match:
            yield number, match.groups()
        elif re.match(r"\| \d", line):
            yield number, None


def file_of(root, test):
    kind, _, name = test.partition(".")
    found = glob.glob(os.path.join(root, PLACES.get(kind, "{}").format(name)))
    return os.path.relpath(found[0], root) if found else None


def findings_of_line(root, columns, tests, sources):
    number, _, tags, named = columns
    files = {test: file_of(root, test) for test in re.findall(r"`([^`]+)`", named)}
    if not files:
        yield f"attack {number} names no test"
    for test, name in files.items():
        beside = os.path.dirname(name or "") + "/"    # where a test's rows may be a data file
        if name is None:
            yield f"attack {number}: there is no {test}"
        elif number not in tests[name] and not any(
                number in found for other, found in tests.items()
                if other.startswith(beside) and other.endswith((".txt", ".yaml"))):
            yield f"attack {number}: no name in {name} has that number"
    for tag in re.findall(r"`([^`]+)`", tags):
        if f'"{tag}' not in sources:
            yield f"attack {number}: the sources have no \"{tag}\""


def findings_of(root, lines, tests):
    sources = "".join(tree.read(root, name) for name in tree.sources(root, tree.LAYERS))
    seen = {}
    for at, columns in lines:
        if columns is None:
            yield f"{CATALOGUE}:{at}: not of the form | number | attack | refusal | tests |"
            continue
        if columns[0] in seen:
            yield f"{CATALOGUE}:{at}: attack {columns[0]} is in line {seen[columns[0]]} already"
        seen[columns[0]] = at
        for finding in findings_of_line(root, columns, tests, sources):
            yield f"{CATALOGUE}:{at}: {finding}"
    for name, numbers in tests.items():
        for number in sorted(numbers - set(seen)):
            yield f"{name}: attack {number} is not in {CATALOGUE}"


def main():
    root = tree.root_of(sys.argv)
    if not os.path.exists(os.path.join(root, CATALOGUE)):
        tree.finish([f"{CATALOGUE} is missing"], 0, "attacks")
    lines = list(lines_of(root))
    tree.finish(list(findings_of(root, lines, numbers_of_tests(root))), len(lines), "attacks")


main()
