#!/usr/bin/python3
"""coverage.py COUNTS [FILE ...]: gcovr's JSON as a table by folder, and what is missing of FILEs.

The files of WHOLE must have every line and every branch run; whatever is missing of them is printed
and is a failure. There are no exceptions and no markers in sources that leave lines out.
"""

import collections
import json
import os
import sys

# What decides which names get a signature, and the way of a request to one: 100 % of lines and
# branches.
WHOLE = (
    "common/names.c",
    "policy/decide.c",
    "policy/index.c",
    "policy/network.c",
    "policy/snapshot.c",
    "policy/subject.c",
    "signer/authorize.c",
)


class Count:
    """Lines and branches: how many there are, how many ran."""

    def __init__(self):
        self.lines = self.lines_run = self.branches = self.branches_run = 0

    def add(self, line):
        self.lines += 1
        self.lines_run += line["count"] > 0
        self.branches += len(line["branches"])
        self.branches_run += sum(branch["count"] > 0 for branch in line["branches"])

    def row(self, name):
        return "%-10s %7d %8s %9d %8s" % (
            name, self.lines, percent(self.lines_run, self.lines), self.branches,
            percent(self.branches_run, self.branches))


def percent(part, whole):
    """One decimal, never rounded up to 100."""
    return "-" if whole == 0 else f"{part * 1000 // whole / 10:.1f} %"


def lines_of(entry):
    return [line for line in entry["lines"] if not line.get("gcovr/noncode")]


def missing_of(entry):
    """What of a file did not run, as texts."""
    with open(entry["file"], encoding="utf-8") as file:
        source = file.read().splitlines()
    for line in lines_of(entry):
        number = line["line_number"]
        text = source[number - 1].strip()
        idle = [at + 1 for at, branch in enumerate(line["branches"]) if branch["count"] == 0]
        if line["count"] == 0:
            yield f"{entry['file']}:{number}: never run: {text}"
        elif idle:
            of = ", ".join(map(str, idle))
            yield f"{entry['file']}:{number}: branch {of} of {len(line['branches'])}: {text}"


def print_missing(files, names):
    """Prints what is missing of the named files; how many places that are."""
    found = 0
    for name in names:
        if name not in files:
            sys.exit(f"coverage: nothing was counted of {name}: is it still built?")
        for text in missing_of(files[name]):
            print(text)
            found += 1
    return found


def main():
    if len(sys.argv) < 2 or not os.path.exists(sys.argv[1]):
        sys.exit("coverage: no counts yet; run: sh tests/coverage.sh")
    with open(sys.argv[1], encoding="utf-8") as file:
        files = {entry["file"]: entry for entry in json.load(file)["files"]}

    folders = collections.defaultdict(Count)
    for name, entry in sorted(files.items()):
        for line in lines_of(entry):
            for key in (name.split("/", 1)[0], "all"):
                folders[key].add(line)
    print("folder       lines      run  branches      run")
    for name in sorted(folders, key=lambda key: (key == "all", key)):
        print(folders[name].row(name))

    if sys.argv[2:]:
        print_missing(files, sys.argv[2:])
    found = print_missing(files, WHOLE)
    if found:
        sys.exit(f"coverage: {found} places of files that must be run wholly are not")
    print("every line and branch of", ", ".join(WHOLE))


main()
