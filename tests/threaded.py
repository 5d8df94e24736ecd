#!/usr/bin/python3
"""threaded.py BUILD-FOLDER: prints what `ctest -R` takes to run the unit tests that start threads.

A program that starts none has nothing that a thread sanitizer could find, and takes many times as
long under one. Which do is asked of the linker: they, or what they are linked with, call
pthread_create.
"""

import json
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
    names = [test["name"] for test in listing["tests"]
             if test["name"].startswith("unit.") and starts_threads(test["command"][0])]
    if not names:
        sys.exit("threaded.py: no unit test starts a thread: is the build folder complete?")
    print("^(" + "|".join(name.replace(".", r"\.") for name in names) + ")$")


if __name__ == "__main__":
    main()
