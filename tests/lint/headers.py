#!/usr/bin/python3
"""lint.headers ROOT: every header compiles alone, twice over, without a warning, in gcc and
clang.

clang takes five times as long to start as to read a header: clang-tidy, without checks of its own,
is clang for many of them at once. What it objects to, clang itself then tells, header by header.
"""

import os
import re
import sys
import tempfile

import tree

FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", '-DACMEWARD_VERSION="0"', "-fsyntax-only", "-Wall",
         "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wcast-qual", "-Wundef", "-Werror")


BATCH = 40
# A header that is included has warnings too (--header-filter), and one check must be on.
AS_CLANG = ("clang-tidy", "--quiet", "--config={}", "--checks=-*,clang-diagnostic-*,cert-env33-c",
            "--warnings-as-errors=*", "--header-filter=.*")


def library_flags(root):
    """Include paths of the libraries that the build uses, as CMake asks pkg-config for them."""
    modules = []
    for name in ("cmake/Dependencies.cmake", "tests/CMakeLists.txt"):
        modules += re.findall(r"IMPORTED_TARGET\s+([\w.+-]+)", tree.read(root, name))
    status, output = tree.run(["pkg-config", "--cflags", *modules], root)
    if status != 0:
        sys.exit(f"pkg-config: {output}")
    return output.split()


def text_of(name):
    """Twice: a missing or repeated include guard shows."""
    return f'#include "{name}"\n' * 2


def compile_one(root, flags, compiler, name):
    status, output = tree.run([compiler, *flags, "-x", "c", "-"], root, input=text_of(name))
    return [f"{name} with {compiler}:\n{output}"] if status != 0 else []


def compile_many(root, flags, names):
    """With clang."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}.c") for i in range(len(names))]
        for path, name in zip(paths, names):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text_of(name))
        status, output = tree.run([*AS_CLANG, *paths, "--", *flags], root)
    if status == 0:
        return []
    found = [finding for name in names for finding in compile_one(root, flags, "clang", name)]
    return found or [f"clang-tidy ended with {status}:\n{output}"]


def main():
    root = tree.root_of(sys.argv)
    tree.need("pkg-config", "gcc", "clang", "clang-tidy")
    flags = [*FLAGS, "-I", root, *library_flags(root)]
    names = tree.sources(root, endings=(".h",))

    jobs = [lambda name=name: compile_one(root, flags, "gcc", name) for name in names]
    jobs += [lambda batch=names[i:i + BATCH]: compile_many(root, flags, batch)
             for i in range(0, len(names), BATCH)]
    found = tree.each(lambda job: job(), jobs)
    tree.finish([finding for some in found for finding in some], len(names), "headers")


main()
