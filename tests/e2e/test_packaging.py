#!/usr/bin/python3
"""What is installed: cmake --install to another root, the examples, bash completion."""

import os
import re
import subprocess
import tempfile
import unittest

from world import ADMIN, BUILD, CLIENT, PROJECT, environment, run

COMPLETION = """
. "$1"
shift
complete_words() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    local function=_${1//-/_}
    "$function" "$1"
    printf '%s\\n' "${COMPREPLY[@]}"
}
complete_words "$@"
"""


def complete(*words):
    """What bash offers for the last of these words."""
    path = os.pathsep.join([os.path.dirname(CLIENT), os.path.dirname(ADMIN), "/usr/bin", "/bin"])
    script = os.path.join(PROJECT, "packaging", "completion", words[0])
    done = run(["bash", "-c", COMPLETION, "bash", script, *words], env=environment(PATH=path))
    return sorted(done.out.split())


def options_in(text):
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)))


class Completion(unittest.TestCase):
    """The scripts ask the programs, so what can go wrong is reading their help."""

    def test_every_command_of_the_client_and_its_options(self):
        commands = re.findall(r"^  ([a-z-]+) ", run([CLIENT, "--help"]).out, re.MULTILINE)
        self.assertGreaterEqual(len(commands), 4)
        self.assertEqual(complete("acmeward", ""), sorted([*commands, "--help", "--version"]))
        for command in commands:
            text = run([CLIENT, command, "--help"]).out
            wanted = re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", text, re.MULTILINE)
            self.assertEqual(complete("acmeward", command, "-"), sorted(wanted), command)

    def test_every_command_of_the_administrators_and_its_options(self):
        lines = re.findall(r"^  ([a-z].*)$", run([ADMIN, "--help"]).out, re.MULTILINE)
        self.assertGreaterEqual(len(lines), 25)
        offered = complete("acmeward-admin", "")
        for line in lines:
            words = re.match(r"[a-z-]+(?: [a-z][a-z0-9-]*(?![a-z|-]))?", line).group().split()
            self.assertIn(words[0], offered)
            if len(words) == 2:
                self.assertIn(words[1], complete("acmeward-admin", words[0], ""))
            options = options_in(line)
            self.assertEqual(complete("acmeward-admin", *words, "--"), options, line)

    def test_words_of_an_option(self):
        rows = [
            (("acmeward-admin", "eab", "import", "--algorithm", ""), ["HS256", "HS384", "HS512"]),
            (("acmeward-admin", "audit", "show", "--verdict", "p"), ["permit"]),
            (("acmeward-admin", "audit", "key", ""), ["create", "rotate", "show"]),
            (("acmeward-admin", "--config", "/etc/host", "x"), []),
            (("acmeward-admin", "--json", "st"), ["status"]),
            (("acmeward", "certonly", "-w", "/et"), ["/etc"]),
            (("acmeward", "certonly", "--webroot-path", "/et"), ["/etc"]),
            (("acmeward", "certonly", "--required-profile", ""), []),
        ]
        for words, wanted in rows:
            with self.subTest(" ".join(words)):
                self.assertEqual(complete(*words), wanted)


class Installed(unittest.TestCase):
    def setUp(self):
        self.root = self.enterContext(tempfile.TemporaryDirectory(prefix="aw-"))

    def install(self, component):
        run(["cmake", "--install", BUILD, "--component", component, "--prefix", "/usr"],
            env=environment(DESTDIR=self.root))
        return {os.path.relpath(os.path.join(folder, name), self.root)
                for folder, _, names in os.walk(self.root) for name in names}

    def test_the_client_comes_alone(self):
        found = self.install("client")
        self.assertIn("usr/bin/acmeward", found)
        self.assertIn("usr/share/man/man1/acmeward.1", found)
        for name in found:
            self.assertNotRegex(name, "signer|admin")
        self.assertIn("usr/lib/systemd/system/acmeward-renew.timer", found)
        self.assertEqual([name for name in found if "systemd" in name and "renew" not in name], [])

    def test_role_and_module_are_whole(self):
        """No links: people copy them."""
        self.install("admin")
        share = os.path.join(self.root, "usr", "share", "acmeward")
        for name in ("ansible/example.yml", "ansible/roles/acmeward/tasks/main.yml",
                     "ansible/roles/acmeward/files/host-certificate",
                     "puppet/acmeward/manifests/init.pp",
                     "puppet/acmeward/templates/document.yaml.epp",
                     "puppet/acmeward/lib/puppet/functions/acmeward/json.rb",
                     "puppet/acmeward/files/host-certificate"):
            path = os.path.join(share, name)
            self.assertTrue(os.path.isfile(path) and not os.path.islink(path), name)
            if name.endswith("host-certificate"):
                self.assertTrue(os.access(path, os.X_OK), name)

    def test_the_relay_comes_without_token_and_policy(self):
        found = self.install("relay")
        for name in ("usr/sbin/acmeward-relay", "usr/lib/systemd/system/acmeward-relay.service",
                     "usr/lib/systemd/system/acmeward-relay.socket",
                     "usr/lib/sysusers.d/acmeward-relay.conf",
                     "usr/lib/tmpfiles.d/acmeward-relay.conf",
                     "usr/share/man/man8/acmeward-relay.8",
                     "usr/share/man/man5/acmeward-relay.yaml.5"):
            self.assertIn(name, found)
        needed = run(["readelf", "-d", os.path.join(self.root, "usr/sbin/acmeward-relay")]).out
        self.assertIn("libevent", needed)
        # libp11-kit: its own key may be in a token.
        self.assertNotRegex(needed, r"libp11\.so|libpsl")

    def test_the_signer_with_units_and_user(self):
        found = self.install("signer")
        for name in ("usr/sbin/acmeward-signer", "usr/lib/systemd/system/acmeward-signer.service",
                     "usr/lib/sysusers.d/acmeward.conf", "usr/lib/tmpfiles.d/acmeward.conf",
                     "usr/share/doc/acmeward-signer/examples/signer.yaml"):
            self.assertIn(name, found)
        self.assertNotIn("usr/bin/acmeward", found)
        # Whatever runs as a process of the signer belongs here too, and nothing is left over.
        done = run(["cmake", "--install", BUILD, "--component", "Unspecified", "--prefix", "/usr"],
                   env=environment(DESTDIR=os.path.join(self.root, "rest")))
        self.assertFalse(os.path.exists(os.path.join(self.root, "rest")), done.text)

    def test_users_and_folders_are_as_the_signer_wants_them(self):
        self.install("signer")
        os.mkdir(os.path.join(self.root, "etc"))
        for tool, folder in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
            words = [] if folder == "sysusers.d" else ["--create"]
            try:
                run([tool, *words, f"--root={self.root}",
                     f"{self.root}/usr/lib/{folder}/acmeward.conf"])
            except FileNotFoundError:
                self.skipTest(f"no {tool} here")
            if os.geteuid() != 0:
                self.skipTest("other users' folders need root")
        state = os.stat(os.path.join(self.root, "var/lib/acmeward"))
        policies = os.stat(os.path.join(self.root, "etc/acmeward/policy.d"))
        self.assertEqual((state.st_mode & 0o7777, policies.st_mode & 0o7777), (0o750, 0o2750))
        self.assertEqual(policies.st_uid, 0)
        self.assertNotIn(policies.st_gid, (0, state.st_gid), "the folder is acmeward-config's")
        self.assertNotEqual(state.st_uid, 0)

    def test_examples_are_in_order(self):
        examples = os.path.join(PROJECT, "packaging", "examples")
        done = run([ADMIN, "--config", os.path.join(examples, "signer.yaml"), "policy", "check",
                    "--policies", os.path.join(examples, "policy.d")])
        self.assertIn("in order", done.text)


class Scripts(unittest.TestCase):
    def test_a_purge_never_removes_what_is_not_empty(self):
        path = os.path.join(PROJECT, "packaging", "deb", "postrm")
        with open(path, encoding="ascii") as file:
            text = file.read()
        removals = [line.strip() for line in text.splitlines()
                    if re.search(r"\b(rm|rmdir)\b", line) and not line.lstrip().startswith(("#", "echo"))]
        self.assertEqual(removals, ["rm -rf /run/acmeward",
                                    'rmdir --ignore-fail-on-non-empty "$folder"'])

    def test_scripts_are_shell(self):
        for name in ("postinst", "prerm", "postrm"):
            subprocess.run(["sh", "-n", os.path.join(PROJECT, "packaging", "deb", name)], check=True)


if __name__ == "__main__":
    unittest.main()
