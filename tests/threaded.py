#!/usr/bin/python3
"""threaded.py BUILD-FOLDER: prints the programs of the unit tests that start threads, one a line.

A program that starts none has nothing that a thread sanitizer could find, and takes many times as
long under one. Which do is asked of the linker: they, or what they are linked with, call
pthread_create.
"""

import json
import os
import subprocess
import sys


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def starts_threads(program):
    return any(line.split()[-1].startswith("pthread_create")
               for line in output_of("nm", "--dynamic", "--undefined-only", program).splitlines())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    listing = json.loads(output_of("ctest", "--test-dir", sys.argv[1], "--show-only=json-v1"))
    programs = [test["command"][0] for test in listing["tests"] if test["name"].startswith("unit.")]
    names = [os.path.basename(program) for program in programs if starts_threads(program)]
    if not names:
        sys.exit("threaded.py: no unit test starts a thread: is the build folder complete?")
    print("\n".join(names))


if __name__ == "__main__":
    main()
