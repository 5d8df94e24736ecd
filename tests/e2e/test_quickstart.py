#!/usr/bin/python3
"""The README's first command, in a copy of the tree: runs, runs again, cleans up after itself."""

import os
import shutil
import subprocess
import tempfile
import unittest

from world import PROJECT, environment, run

LEFT_OUT = {"build", ".quickstart", ".git", "__pycache__"}


class Quickstart(unittest.TestCase):
    def test_quickstart(self):
        folder = tempfile.mkdtemp(prefix="aw-quick-")
        try:
            tree = os.path.join(folder, "tree")
            shutil.copytree(PROJECT, tree, symlinks=True,
                            ignore=lambda _, names: [name for name in names if name in LEFT_OUT
                                                     or name.startswith("build-")])
            script = ["sh", os.path.join(tree, "softhsm-fixtures", "quickstart.sh")]
            try:
                self.course(script, tree)
            finally:
                run([*script, "--clean"])
            self.assertFalse(os.path.exists(os.path.join(tree, ".quickstart")))
            left = subprocess.run(["pgrep", "-f", folder], capture_output=True, text=True, check=False)
            self.assertEqual(left.stdout, "", "processes were left behind")
        finally:
            shutil.rmtree(folder)

    def course(self, script, tree):
        env = environment(HOME=tree)
        first = run(script, seconds=600, env=env)
        for words in ("imported: 256 bits", "registered", "refused: pay.dept.example.edu",
                      "names.none", "the chain is whole", "all as it should be", "Try next"):
            self.assertIn(words, first.out + first.err)
        live = os.path.join(tree, ".quickstart", "certificates", "live", "myapp1")
        names = run(["openssl", "x509", "-in", os.path.join(live, "cert.pem"), "-noout", "-ext",
                     "subjectAltName"]).out
        self.assertIn("DNS:host1.myapp1.dept.example.edu, DNS:myapp1.dept.example.edu", names)
        second = run(script, seconds=600, env=env)     # goes on where it was
        self.assertIn("Try next", second.out)
        # The three commands that it names do what it says.
        for line in first.out.split("Try next:")[1].strip().splitlines()[:3]:
            done = subprocess.run(["sh", "-c", line], cwd=tree, env=env, capture_output=True,
                                  text=True, check=False)
            self.assertIn(done.returncode, (0, 3), f"{line}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    unittest.main()
