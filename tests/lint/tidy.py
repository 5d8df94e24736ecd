#!/usr/bin/python3
"""lint.tidy ROOT BUILD-FOLDER: clang-tidy, with the tree's .clang-tidy, finds nothing.

The build folder has compile_commands.json. Product and fixtures only: in unit tests cmocka's
macros drown everything.
"""

import json
import os
import re
import sys

import tree


def compiled_sources(root, build):
    """Files of ours that the build compiles, relative to the root."""
    path = os.path.join(build, "compile_commands.json")
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: configure with -DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    full = (os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in entries)
    wanted = tree.LAYERS + ("softhsm-fixtures",)
    return sorted({os.path.relpath(name, root) for name in full
                   if name.startswith(tuple(f"{root}/{folder}/" for folder in wanted))})


# States the analyzer looks at for a function; its default is 225000, which reaches hardly a block more
# for three times the time (docs/decisions.md).
MAX_NODES = 25000
# What the analyzer cannot know of our results; not for the files that define them.
MODEL = "tests/lint/analyzer.h"
DEFINES_RESULTS = ("common/result.c", "pkcs11/ckr.c")


def compiler_options(root, name):
    # Options of gcc in the compile commands that clang does not know.
    yield "-Wno-unknown-warning-option"
    # A result that comes through more calls than the default of 5 is still followed.
    yield from ("-Xclang", "-analyzer-inline-max-stack-depth", "-Xclang", "10")
    yield from ("-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={MAX_NODES}")
    model = os.path.join(root, MODEL)
    if name not in DEFINES_RESULTS and os.path.exists(model):
        yield f"-include{model}"
        if name.startswith("pkcs11/"):
            yield "-DANALYZER_PKCS11"


def main():
    root = tree.root_of(sys.argv)
    tree.need("clang-tidy")
    build = os.path.realpath(sys.argv[2]) if len(sys.argv) > 2 else sys.exit(__doc__)
    names = compiled_sources(root, build)

    def check(name):
        options = [f"--extra-arg={option}" for option in compiler_options(root, name)]
        status, output = tree.run(["clang-tidy", "--quiet", f"-p={build}",
                                   "--warnings-as-errors=*", *options, name], root)
        kept = [line for line in output.splitlines()
                if not re.match(r"\d+ warnings? (treated as errors|generated)", line)]
        return "\n".join(kept).replace(root + "/", "") if status != 0 else None

    tree.finish([finding for finding in tree.each(check, names) if finding], len(names))


main()
