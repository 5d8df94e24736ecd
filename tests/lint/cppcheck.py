#!/usr/bin/python3
"""lint.cppcheck ROOT: cppcheck finds nothing in the product and the fixtures.

Unit tests are left out: cmocka's macros hide from it what a test asserts before it uses a value.
"""

import os
import sys

import tree

# Macros of libraries whose headers it is not given. (No semicolon: it parts definitions at them.)
MACROS = ("-DcJSON_ArrayForEach(element, array)=while (((element) = (array)) != 0)",)

SUPPRESSED = (
    # Libraries' headers are not given to it: it knows their functions from its own tables.
    "missingIncludeSystem",
    # It does not know __attribute__((cleanup)); LeakSanitizer looks at this in every test.
    "memleak", "resourceLeak",
    # It takes "return f(&local)" of a struct by value for the return of an address.
    "returnDanglingLifetime",
    # It does not see designated initialisers of types whose header it lacks; clang-tidy does.
    "legacyUninitvar",
    # Notes on how far it looked.
    "normalCheckLevelMaxBranches", "checkersReport",
)


def main():
    root = tree.root_of(sys.argv)
    tree.need("cppcheck")
    names = tree.sources(root, tree.LAYERS + ("softhsm-fixtures",), (".c",))
    if not names:
        tree.finish([], 0)
    status, output = tree.run([
        "cppcheck", "--quiet", "--error-exitcode=1", "--std=c11", "--inline-suppr",
        "--enable=warning,performance,portability", "--template={file}:{line}: {id}: {message}",
        f"-j{os.cpu_count() or 1}", "-D_GNU_SOURCE", *MACROS,
        *(f"--suppress={name}" for name in SUPPRESSED), "-I", ".", *names], root)
    tree.finish(output.splitlines() or ([f"cppcheck ended with {status}"] if status else []),
                len(names))


main()
