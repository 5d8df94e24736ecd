#!/usr/bin/python3
"""lint.named_tests ROOT BUILD: every test that a document names exists.

A promise with the name of a test that is gone is worth nothing. A name in backquotes, `unit.url` or
`unit.policy*`, must be one of ctest's, or stand for some of them.
"""

import fnmatch
import json
import re
import subprocess
import sys

import tree

NAMED = re.compile(r"`((?:unit|fuzz|e2e|fixture|bench|lint|differential)\.[a-z0-9_*]+)`")


def tests_of(build):
    done = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"ctest does not list the tests of {build}: {done.stderr}")
    return [test["name"] for test in json.loads(done.stdout)["tests"]]


def findings_of(root, name, tests):
    for number, line in enumerate(tree.read(root, name).split("\n"), 1):
        for named in NAMED.findall(line):
            if not fnmatch.filter(tests, named):
                yield f"{name}:{number}: there is no test {named}"


def main():
    root = tree.root_of(sys.argv)
    tree.need("ctest")
    tests = tests_of(sys.argv[2])
    names = [name for name in tree.files(root) if name.endswith(".md")]
    tree.finish([finding for name in names for finding in findings_of(root, name, tests)],
                len(names), "documents")


main()
