#!/usr/bin/python3
"""lint.headers ROOT: every header compiles alone, twice over, without a warning, in gcc and
clang."""

import re
import sys

import tree

COMPILERS = ("gcc", "clang")
FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", '-DACMEWARD_VERSION="0"', "-fsyntax-only", "-Wall",
         "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wcast-qual", "-Wundef", "-Werror")


def library_flags(root):
    """Include paths of the libraries that the build uses, as CMake asks pkg-config for them."""
    modules = []
    for name in ("cmake/Dependencies.cmake", "tests/CMakeLists.txt"):
        modules += re.findall(r"IMPORTED_TARGET\s+([\w.+-]+)", tree.read(root, name))
    status, output = tree.run(["pkg-config", "--cflags", *modules], root)
    if status != 0:
        sys.exit(f"pkg-config: {output}")
    return output.split()


def main():
    root = tree.root_of(sys.argv)
    tree.need("pkg-config", *COMPILERS)
    flags = [*FLAGS, "-I", root, *library_flags(root)]
    names = tree.sources(root, endings=(".h",))

    def compile_one(job):
        compiler, name = job
        # Twice: a missing or repeated include guard shows.
        status, output = tree.run([compiler, *flags, "-x", "c", "-"], root,
                                  input=f'#include "{name}"\n' * 2)
        return f"{name} with {compiler}:\n{output}" if status != 0 else None

    jobs = [(compiler, name) for name in names for compiler in COMPILERS]
    tree.finish([finding for finding in tree.each(compile_one, jobs) if finding], len(names),
                "headers")


main()
