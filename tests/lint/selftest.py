#!/usr/bin/python3
"""lint.selftest: every linter passes a small good tree and refuses one with a fault in it.

A linter that cannot fail is worth nothing; each row is a fault and the words it must be told with.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# A tree without faults.
HEADER = """/**
 * @file {1}.h
 * @brief A number.
 */
#ifndef AW_{0}_H
#define AW_{0}_H

/** One more. */
int {1}(int value);

#endif
"""
SOURCE = """#include "{0}/{1}.h"

int
{1}(int value)
{{
    return value + 1;
}}
"""
GOOD = {
    "common/one.h": HEADER.format("ONE", "one"),
    "common/one.c": SOURCE.format("common", "one"),
    "client/two.h": HEADER.format("TWO", "two"),
    "client/two.c": '#include <curl/curl.h>\n\n' + SOURCE.format("client", "two"),
    "pkcs11/three.h": HEADER.format("THREE", "three"),
    "signer/four.h": HEADER.format("FOUR", "four"),
    "tests/unit/five.h": HEADER.format("FIVE", "five"),
    "tests/unit/five.c": '#include "five.h"\n#include "signer/four.h"\n\nint other;\n',
    "tests/unit/common/test_one.c": '/* attack 7 */\nconst char *row = "attack 48: a row";\n',
    "docs/attacks.md": "| 48 | burnt | refused | `unit.one` |\n",
    "tests/lint/banned-allow.txt": "",
    "tests/CMakeLists.txt": "",
    "cmake/Dependencies.cmake": "pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)\n",
    "docs/architecture.md": "".join(f"| `{folder}/` | x |\n" for folder in (
        "client", "cmake", "common", "docs", "pkcs11", "signer", "tests")),
    "run": "#!/bin/sh\necho \"$1\"\n",
    "docs/tests.md": "Held by `unit.one` and `unit.t*`; `client.two` is no test.\n",
}


def body(line):
    """A source file of common/ with that line in a function."""
    return SOURCE.format("common", "one").replace("    return", f"    {line}\n    return")


LONG_FUNCTION = "int\nlong_one(int x)\n{\n" + "    x++;\n" * 81 + "    return x;\n}\n"
SIX = ", ".join(f"int p{i}" for i in range(7))

# Linter: rows of (name, {file: content}, words of the finding).
FAULTS = {
    "includes": [
        ("upwards", {"common/one.c": '#include "client/two.h"\n'}, "it may include common"),
        ("client sees signer", {"client/two.c": '#include "signer/four.h"\n'}, "client/ includes"),
        ("sideways", {"policy/p.c": '#include "pkcs11/three.h"\n'}, "policy/ includes"),
        ("not from the root", {"common/one.c": '#include "one.h"\n'}, "no path from the root"),
        ("no such file", {"common/one.c": '#include "common/none.h"\n'}, "no path from the root"),
        ("out of the tree", {"common/one.c": '#include "common/../../x.h"\n'},
         "no path from the root"),
        ("libp11", {"signer/s.c": "#include <libp11.h>\n"}, "may be included in pkcs11"),
        ("p11-kit", {"signer/s.c": "#  include <p11-kit/pkcs11.h>\n"}, "included in pkcs11"),
        ("curl", {"signer/s.c": "#include <curl/curl.h>\n"}, "included in client only"),
        ("macro", {"signer/s.c": "#include WHAT\n"}, "is neither"),
    ],
    "headers": [
        ("needs another", {"common/one.h": "size_t one(void);\n"}, "common/one.h with gcc"),
        ("the same", {"common/one.h": "size_t one(void);\n"}, "common/one.h with clang"),
        ("what clang alone warns of", {"common/one.h": HEADER.format("ONE", "one").replace(
            "#endif", "static inline int\none(int x)\n{\n    x = x;\n    return x;\n}\n\n#endif")},
         "common/one.h with clang"),
        ("no guard", {"common/one.h": "struct one {\n    int x;\n};\n"}, "redefinition"),
        ("old prototype", {"common/one.h": "int one();\n"}, "common/one.h with"),
    ],
    "sizes": [
        ("long function", {"tests/unit/five.c": LONG_FUNCTION}, "long_one() has 82 lines"),
        ("long file", {"common/one.c": "int x;\n" * 601}, "601 lines"),
    ],
    "described": [
        ("no brief", {"common/one.h": "/** One. */\nint one(int value);\n"}, "@brief"),
        ("one of two", {"common/one.h": HEADER.format("ONE", "one").replace(
            ";\n", ";\nint two(\n    int value);\n")}, "common/one.h:10: two()"),
        ("of another", {"common/one.h": HEADER.format("ONE", "one").replace(
            "int one", "struct one;\nint one")}, "one()"),
        ("behind a group", {"common/one.h": HEADER.format("ONE", "one").replace(
            "/** One more. */\n", "/** @name Ones @{ */\nint two(void);\n/** @} */\n")}, "one()"),
        ("not for Doxygen", {"common/one.h": HEADER.format("ONE", "one").replace("/** O", "/* O")},
         "one()"),
    ],
    "banned": [
        ("call", {"common/one.c": body("strcpy(a, b);")}, "common/one.c:6: strcpy"),
        ("pointer", {"common/one.c": body("f = strcpy;")}, "strcpy"),
        ("over lines", {"common/one.c": body("sprintf\n(a, b);")}, "sprintf"),
        ("goto", {"common/one.c": body("goto out;")}, "goto"),
        ("environment", {"signer/s.c": body("getenv(a);")}, "getenv"),
        ("shell", {"admin/a.c": body("system(a);")}, "system"),
        ("fork", {"signer/s.c": body("fork();")}, "fork"),
        ("case", {"client/c.c": body("cJSON_GetObjectItem(a, b);")}, "cJSON_GetObjectItem"),
        ("function list", {"pkcs11/p.c": body("list->C_Logout(s);")}, "C_Logout"),
        ("prints", {"common/one.c": body('printf("x");')}, "printf"),
        ("verification", {"client/c.c": body("SET(CURLOPT_PROXY_SSL_VERIFYPEER, 0L);")},
         "TLS verification is always on"),
        ("verification, variable", {"client/c.c": body("f(c, CURLOPT_SSL_VERIFYHOST, on);")},
         "TLS verification is always on"),
        ("in a test", {"tests/unit/five.c": body("strcat(a, b);")}, "strcat"),
        ("stale exception", {"tests/lint/banned-allow.txt": "common/one.c:gets:was needed once\n"},
         "not needed"),
        ("exception without reason", {"tests/lint/banned-allow.txt": "common/one.c:gets\n"},
         "expected path:name:reason"),
    ],
    "format": [
        ("indentation", {"common/one.c": "int x;\n  int y;\n"}, "clang-format -i common/one.c"),
    ],
    "cppcheck": [
        ("array", {"common/one.c": body("int a[2] = {0}; value += a[value = 2];\n    a[2] = 1;")},
         "arrayIndexOutOfBounds"),
        ("uninitialised", {"common/one.c": body("int x; value += x;")}, "uninitvar"),
    ],
    "shellcheck": [
        ("by name", {"a.sh": "#!/bin/sh\nrm -rf $1/*\n"}, "a.sh:2"),
        ("by first line", {"run": "#!/usr/bin/env bash\necho $1\n"}, "run:2"),
    ],
    "tidy": [
        ("null", {"common/one.c": body("int *p = 0;\n    value += *p;")}, "NullDereference"),
        ("strcpy", {"common/one.c": "#include <string.h>\n" + body("extern char *b;\n"
                    "    strcpy(b, b + value);")}, "insecureAPI.strcpy"),
        ("long function", {"common/one.c": LONG_FUNCTION}, "readability-function-size"),
        ("many parameters", {"common/one.c": f"int\nwide({SIX})\n{{\n    return p0;\n}}\n"},
         "readability-function-size"),
    ],
    "named_tests": [
        ("gone", {"docs/tests.md": "\nHeld by `unit.one`, `unit.gone`.\n"},
         "docs/tests.md:2: there is no test unit.gone"),
        ("stands for none", {"README.md": "`e2e.o*`\n"}, "there is no test e2e.o*"),
    ],
    "named_files": [
        ("gone", {"docs/tests.md": "\nSee `common/gone.c`.\n"}, "docs/tests.md:2: there is no file common/gone.c"),
        ("gone, without its folder", {"docs/tests.md": "`gone.h`: x\n"}, "there is no file gone.h"),
        ("gone, in a comment", {"common/one.c": "/*\n * As common/two.h has it. */\n"},
         "common/one.c:2: there is no file common/two.h"),
        ("link", {"docs/tests.md": "[x](gone.md)\n"}, "links to docs/gone.md"),
        ("heading", {"docs/tests.md": "# One `more`\n[x](#one-more) [y](tests.md#two)\n"},
         "docs/tests.md:2: docs/tests.md has no heading #two"),
        ("folder without a row", {"policy/p.c": "int x;\n"}, "no row for policy/"),
        ("row without a folder", {"docs/architecture.md": GOOD["docs/architecture.md"]
                                  + "| `relay/` | x |\n"}, "has relay/, which is not there"),
        ("thread", {"signer/s.c": body("pthread_create(a, b, c, d);")},
         "signer/s.c starts a thread that"),
    ],
    "attacks": [
        ("in no test", {"docs/attacks.md": "| 48 | a | b | `unit.one` |\n| 7 | a | b | `unit.one` |\n"},
         "docs/attacks.md:2: attack 7: no name in tests/unit/common/test_one.c"),
        ("a longer number", {"tests/unit/common/test_one.c": 'char *row = "attack 481: x";\n'},
         "attack 48: no name in"),
        ("with a letter", {"tests/unit/common/test_one.c": 'char *row = "attack 48a: x";\n'},
         "attack 48a is not in docs/attacks.md"),
        ("in a list", {"tests/unit/common/test_one.c": "int attacks_48_and_50_to_52(void);\n"},
         "attack 51 is not in docs/attacks.md"),
        ("not in the catalogue", {"tests/unit/five.c": 'char *row = "attack 49: x";\n'},
         "tests/unit/five.c: attack 49 is not in docs/attacks.md"),
        ("twice", {"docs/attacks.md": "| 48 | a | b | `unit.one` |\n| 48 | a | b | `unit.one` |\n"},
         "docs/attacks.md:2: attack 48 is in line 1 already"),
        ("another form", {"docs/attacks.md": "| 48 | a | b |\n"}, "docs/attacks.md:1: not of the form"),
        ("no test named", {"docs/attacks.md": "| 48 | a | b | none |\n"}, "attack 48 names no test"),
        ("a test that is not there", {"docs/attacks.md": "| 48 | a | b | `unit.two` |\n"},
         "there is no unit.two"),
        ("a tag that is not there", {"docs/attacks.md": "| 48 | a | `x.y` | `unit.one` |\n"},
         'the sources have no "x.y"'),
    ],
    "leftovers": [
        ("unfinished", {"common/one.c": "/* TO" "DO: later */\n"}, "finish it"),
        ("home", {"docs.md": os.path.expanduser("~") + "/notes\n"}, "path of this machine"),
        ("blank at the end", {"common/one.c": "int x; \n"}, "blank at the end"),
        ("no last newline", {"common/one.c": "int x;"}, "no newline"),
    ],
}
TOOLS = {"headers": "clang", "named_tests": "ctest", "format": "clang-format",
         "cppcheck": "cppcheck", "shellcheck": "shellcheck", "tidy": "clang-tidy"}

# What the linters must let pass.
HARMLESS = {
    "banned": {
        "common/one.c": body('/* strcpy(a, b) */ const char *s = "sprintf(x)"; // gets(x)'),
        "signer/s.c": body("request->system = limit.exit; random = 1;"),
        "client/c.c": body("SET(CURLOPT_SSL_VERIFYPEER, 1L); f(c, CURLOPT_SSL_VERIFYHOST, 2);"),
        "tests/unit/five.c": body("printf(a, getenv(b));"),
    },
    "includes": {"common/one.c": '/* text */\n#include <stdio.h>\n', "tests/unit/five.c":
                 '#include "five.h"\n#include <libp11.h>\n'},
}


def write(root, tree_files):
    for name, content in tree_files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)


def build_folder(root):
    """As CMake writes it, for the sources of common/, with two tests."""
    build = os.path.join(root, "build")
    os.makedirs(build, exist_ok=True)
    names = [name for name in os.listdir(os.path.join(root, "common")) if name.endswith(".c")]
    entries = [{"directory": build, "file": f"../common/{name}",
                "command": f"gcc -std=gnu17 -I{root} -c ../common/{name}"} for name in names]
    with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    with open(os.path.join(build, "CTestTestfile.cmake"), "w", encoding="utf-8") as file:
        file.write("add_test(unit.one run)\nadd_test(unit.two run)\n")
    return build


def lint(linter, root, environment=None):
    arguments = [build_folder(root)] if linter in ("tidy", "named_tests") else []
    script = os.path.join(HERE, linter + ".py")
    done = subprocess.run([sys.executable, "-B", script, root, *arguments],
                          capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


class SelfTest(unittest.TestCase):
    def tree(self, changes):
        root = self.enterContext(tempfile.TemporaryDirectory())
        write(root, {**GOOD, **changes})
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(os.path.join(ROOT, name), root)
        return root

    def test_good_tree_passes(self):
        for linter in FAULTS:
            with self.subTest(linter):
                status, output = lint(linter, self.tree(HARMLESS.get(linter, {})))
                self.assertEqual(status, 0, output)
                self.assertIn("0 findings in ", output)

    def test_faults_are_found(self):
        for linter, rows in FAULTS.items():
            for name, changes, words in rows:
                with self.subTest(f"{linter}: {name}"):
                    status, output = lint(linter, self.tree(changes))
                    self.assertEqual(status, 1, output)
                    self.assertIn(words, output)

    def test_exception_is_honoured(self):
        root = self.tree({"common/one.c": body("strcpy(a, b);"), "tests/lint/banned-allow.txt":
                          "# why\n\ncommon/one.c:strcpy:a reason that is long enough\n"})
        status, output = lint("banned", root)
        self.assertEqual(status, 0, output)

    def test_empty_tree_is_a_failure(self):
        for linter in FAULTS:
            with self.subTest(linter), tempfile.TemporaryDirectory() as root:
                write(root, {"tests/CMakeLists.txt": "", "cmake/Dependencies.cmake":
                             "pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)\n",
                             "common/.keep": ""})
                if linter == "leftovers":
                    shutil.rmtree(root)
                    os.mkdir(root)
                self.assertEqual(lint(linter, root)[0], 1)

    def test_missing_tool_is_a_failure(self):
        for linter, tool in TOOLS.items():
            with self.subTest(linter), tempfile.TemporaryDirectory() as empty:
                status, output = lint(linter, self.tree({}), {"PATH": empty})
                self.assertEqual(status, 1, output)
                self.assertRegex(output, f"missing: .*{tool}.*install-packages.sh lint")

    def test_every_linter_is_here(self):
        # These two ask the programs of a build, which the trees here have not.
        others = ("tree.py", "selftest.py", "manpages.py", "commands.py")
        linters = [name[:-3] for name in os.listdir(HERE)
                   if name.endswith(".py") and name not in others]
        self.assertEqual(sorted(linters), sorted(FAULTS))


if __name__ == "__main__":
    unittest.main()
