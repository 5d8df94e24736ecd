#!/usr/bin/python3
"""Bad input and missing parts: each has its own message that says what to do, and its exit status."""

import base64
import os
import shutil
import signal
import unittest

from world import ADMIN, CLIENT, SIGNER, World, run

OK, FAILED, USAGE, REFUSED, CA_REFUSED, UNAVAILABLE = range(6)


class SignerStart(unittest.TestCase):
    """Faults that keep the signer from starting."""

    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.world.application("app", exact=["app.dept.example.edu"])
        self.world.write_config()

    def start(self, status, *words):
        process = self.world.spawn_signer()
        process.wait(60)
        self.world.signer = None
        log = self.world.log()
        self.assertEqual(process.returncode, status, log)
        for word in words:
            self.assertIn(word, log)
        return log

    def edit(self, old, new, path=None):
        path = path or self.world.config
        with open(path, encoding="ascii") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace(old, new))

    def set_pin(self, text):
        path = self.world.token["TOKEN_PIN_FILE"]
        os.chmod(path, 0o600)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, 0o400)

    def test_no_module(self):
        self.edit(self.world.token["TOKEN_MODULE"], "/nonexistent/module.so")
        self.start(UNAVAILABLE, "/nonexistent/module.so")

    def test_no_such_token(self):
        self.edit("token=acmeward", "token=other")
        # It names the tokens that there are.
        self.start(UNAVAILABLE, "other", "acmeward")

    def test_pin_in_the_uri(self):
        self.edit("token=acmeward", "token=acmeward?pin-value=1234")
        log = self.start(USAGE, "pin-value")
        self.assertNotIn("1234", log)

    def test_attack_96c_a_wrong_pin_is_tried_once(self):
        path = self.world.token["TOKEN_PIN_FILE"]
        with open(path, encoding="ascii") as file:
            right = file.read()
        self.set_pin("wrong-pin")
        log = self.start(UNAVAILABLE, "PIN")
        self.assertNotIn("wrong-pin", log)
        for _ in range(3):      # a restart loop
            self.start(UNAVAILABLE, "pin.latch")
        self.set_pin(right)
        self.start(UNAVAILABLE, "pin.latch")    # only a person lifts the latch
        os.unlink(self.world.path("state", "pin.latch"))
        self.world.start_signer()

    def test_pin_file_missing(self):
        os.unlink(self.world.token["TOKEN_PIN_FILE"])
        self.start(UNAVAILABLE, self.world.token["TOKEN_PIN_FILE"])

    def test_pin_file_loose(self):
        os.chmod(self.world.token["TOKEN_PIN_FILE"], 0o644)
        self.start(UNAVAILABLE, self.world.token["TOKEN_PIN_FILE"], "644")

    def test_config_missing(self):
        os.unlink(self.world.config)
        self.start(USAGE, self.world.config)

    def test_loose_config(self):
        os.chmod(self.world.config, 0o666)
        self.start(FAILED, self.world.config, "666")

    def test_loose_folders_of_what_is_read(self):
        """Whoever can write there can put something in its place; also by an ACL, whose mask shows as
        the group's mode."""
        for folder, what in (("etc", "signer.yaml"), (".", "state"), ("token", "pin")):
            path = os.path.normpath(self.world.path(folder))
            with self.subTest(folder):
                before = os.stat(path).st_mode & 0o7777
                os.chmod(path, 0o775)
                self.start(UNAVAILABLE if what == "pin" else FAILED, what, "775", "chmod go-w")
                os.chmod(path, before)

    def test_loose_policy_folder(self):
        os.chmod(self.world.path("etc", "policy.d"), 0o777)
        self.start(FAILED, "policy.d", "777")

    def test_loose_state(self):
        os.chmod(self.world.path("state"), 0o777)
        self.start(FAILED, "state", "777")

    def test_loose_socket_folder(self):
        os.chmod(self.world.path("run"), 0o777)
        self.start(FAILED, "run", "777")

    def test_attack_97_something_else_at_the_socket(self):
        os.symlink("/etc/passwd", self.world.socket)
        self.start(FAILED, self.world.socket)
        self.assertTrue(os.path.islink(self.world.socket))

    def test_every_fault_is_told_with_its_place(self):
        self.edit("sessions: 4", "sessions: many")
        self.edit("directory: https", "directory: http")
        self.edit("key: ec-p256", "key: ec-p257")
        self.edit("paths:", "path:")
        done = run([SIGNER, "--config", self.world.config, "--check-config"], status=USAGE)
        for words in ("sessions", "many", "directory", "https://", "ec-p257", "path", "paths"):
            self.assertIn(words, done.text)
        places = [line for line in done.out.splitlines()
                  if line.startswith(self.world.config + ":")]
        self.assertGreaterEqual(len(places), 4, done.text)
        self.start(USAGE)

    def test_check_config_warns_of_what_the_start_will_not_find(self):
        self.edit("token:", "metrics:\n  file: /nonexistent/figures/acmeward.prom\ntoken:")
        self.edit("pin_source: ", "pin_source: /nonexistent")
        self.edit("  paths: [", '  paths: ["/nonexistent/token", ')
        done = run([SIGNER, "--config", self.world.config, "--check-config"])
        for key, path in (("token.pin_source", "/nonexistent/"), ("token.paths", "/nonexistent/token"),
                          ("metrics.file", "/nonexistent/figures")):
            self.assertRegex(done.out, f"warning: {key}: .*{path}.*No such file")
        self.assertNotIn(":0:0:", done.out)

    def test_policy_faults_are_told_with_their_place(self):
        path = self.world.application("bad", account="nobodys", subdomains_of=["edu"],
                                      limits={"orders_per_day": -1}, colour="blue")
        done = run([SIGNER, "--config", self.world.config, "--check-config"], status=USAGE)
        for words in ("nobodys", "edu", "orders_per_day", "colour"):
            self.assertIn(words, done.out)
        self.assertGreaterEqual(done.out.count(path + ":"), 4, done.out)
        self.world.admin("policy", "check", status=USAGE)

    def test_ledger_of_nowhere_is_made_anew(self):
        self.world.start_signer()
        self.world.stop_signer()
        with open(self.world.path("state", "ledger.db"), "wb") as file:
            file.write(b"no database" * 1000)
        self.world.start_signer()
        self.assertIn("ledger", self.world.log())

    def test_damaged_audit_log_stops_the_start(self):
        self.world.start_signer()
        self.world.stop_signer()
        self.world.start_signer()
        self.world.stop_signer()
        path = self.world.path("state", "audit", "audit.jsonl")
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"X")
        self.start(FAILED, "audit.jsonl")
        self.world.admin("audit", "verify", status=FAILED)

    def test_attack_108_environment_of_the_daemon(self):
        # Whoever opened the FIFO for OpenSSL's configuration would wait for it for ever.
        fifo = self.world.path("openssl.cnf")
        os.mkfifo(fifo)
        self.world.signer_environment = {
            "OPENSSL_CONF": fifo, "OPENSSL_MODULES": "/nonexistent", "OPENSSL_ENGINES": "/nonexistent",
            "P11_KIT_STRICT": "yes", "P11_KIT_NO_USER_CONFIG": "no", "PKCS11_PIN": "0000",
            "PKCS11_MODULE_PATH": "/nonexistent", "https_proxy": "http://192.0.2.1:1",
            "SQLITE_TMPDIR": "/nonexistent", "TMPDIR": "/nonexistent", "TZ": ":/etc/passwd",
            "LANG": "none", "LISTEN_FDS": "9", "LISTEN_PID": "1", "ACMEWARD_CONFIG": "/nonexistent",
            "ACMEWARD_INSECURE": "1", "SSLKEYLOGFILE": self.world.path("keys.log")}
        self.world.start_signer()
        self.assertFalse(self.world.admin("--json", "status").json()["frozen"])
        self.world.admin("account", "create", "loopback-ov")
        with self.assertRaises(OSError):
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)     # ENXIO: nobody reads it
        self.assertFalse(os.path.exists(self.world.path("keys.log")))
        with open(f"/proc/{self.world.signer.pid}/environ", "rb") as file:
            self.assertNotIn(b"PIN=" + self.pin().encode(), file.read())
        with open(f"/proc/{self.world.signer.pid}/limits", encoding="ascii") as file:
            core = [line for line in file if line.startswith("Max core file size")][0]
        self.assertEqual(core.split()[4:6], ["0", "0"])

    def pin(self):
        with open(self.world.token["TOKEN_PIN_FILE"], encoding="ascii") as file:
            return file.read().strip()


class Running(unittest.TestCase):
    """Mistakes made against a signer that is well."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=["app.dept.example.edu"])
        cls.world.start()

    def test_client_without_signer(self):
        done = run([CLIENT, "whoami", "--signer", "/nonexistent/signer.sock"], status=UNAVAILABLE)
        self.assertIn("/nonexistent/signer.sock", done.text)

    def test_revoking_what_is_not_stored(self):
        done = self.world.client("revoke", "--cert-name", "absent", status=1)
        self.assertIn("acmeward certificates lists what is stored", done.err)

    def test_admin_without_signer(self):
        done = run([ADMIN, "--socket", "/nonexistent/admin.sock", "status"], status=UNAVAILABLE)
        self.assertIn("/nonexistent/admin.sock", done.text)

    def test_usage(self):
        rows = [
            ([CLIENT], USAGE, "usage"),
            ([CLIENT, "frobnicate"], USAGE, "no such command: frobnicate"),
            ([CLIENT, "certonly", "www.example.edu"], USAGE, "names are given with -d NAME"),
            ([CLIENT, "export", "www.example.edu"], USAGE, "is named with --cert-name NAME"),
            ([CLIENT, "orders", "resume", "www.example.edu"], USAGE, "--cert-name NAME"),
            ([CLIENT, "whoami", "app"], USAGE, "\n  --help lists the options"),
            ([CLIENT, "certonly"], USAGE, "-d"),
            ([CLIENT, "certonly", "-d", "a..b", "--standalone"], USAGE, "a..b"),
            ([CLIENT, "certonly", "--frobnicate"], USAGE, "frobnicate"),
            ([ADMIN], USAGE, "usage"),
            ([ADMIN, "frobnicate"], USAGE, "frobnicate"),
            ([ADMIN, "eab"], USAGE, "  eab wrap --public-key"),
            ([ADMIN, "eab", "import"], USAGE, "--ca"),
            ([ADMIN, "eab", "import", "--frobnicate"], USAGE, "frobnicate"),
            ([ADMIN, "audit", "show", "--verdict", "maybe"], USAGE, "maybe"),
            ([ADMIN, "audit", "show", "--since", "yesterday"], USAGE, "yesterday"),
            ([SIGNER, "--frobnicate"], USAGE, "usage"),
            ([SIGNER, "word"], USAGE, "word"),
        ]
        for command, status, word in rows:
            with self.subTest(" ".join(command)):
                self.assertIn(word, run(command, status=status).text)

    def test_help_and_version(self):
        for program in (CLIENT, ADMIN, SIGNER):
            self.assertIn("usage", run([program, "--help"]).out)
            self.assertIn("0.1.0", run([program, "--version"]).out)
        rows = [
            ("eab", "  eab wrap --public-key"),
            ("eab list", "usage: acmeward-admin eab list\n  EAB keys in the token\n"),
            ("report", "  report p4 [--format"),
        ]
        for words, text in rows:
            with self.subTest(words):
                self.assertIn(text, run([ADMIN, *words.split(), "--help"]).out)
        self.assertIn("no command", run([ADMIN, "nothing", "--help"], status=USAGE).text)

    def test_hmac_key_on_the_command_line_is_refused_and_not_echoed(self):
        secret = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtZWNob2Vk"
        for words in (("--eab-hmac-key", secret), ("--eab-hmac-key=" + secret,)):
            done = run([CLIENT, "certonly", "-d", "app.dept.example.edu", "--eab-kid", "k", *words],
                       status=USAGE)
            self.assertNotIn(secret, done.text)
            self.assertIn("acmeward-admin eab import", done.text)
            done = run([ADMIN, "eab", "import", "--ca", "x", *words], status=USAGE)
            self.assertNotIn(secret, done.text)

    def test_bad_eab_keys(self):
        rows = [("", USAGE, "no key"), ("not base64!", FAILED, "base64"), ("AAAA", FAILED, "force")]
        for text, status, word in rows:
            with self.subTest(word):
                done = self.world.admin("eab", "import", "--ca", "loopback", "--kid", "bad",
                                        stdin=text, status=status)
                self.assertIn(word, done.text)

    def test_short_eab_key_by_force(self):
        done = self.world.admin("eab", "import", "--ca", "loopback", "--kid", "short", "--force",
                                stdin="AAECAwQFBgcICQoLDA0ODw==")
        self.assertIn("128 bits", done.out)
        self.assertIn("padded", done.out)
        self.world.admin("eab", "destroy", "--ca", "loopback", "--kid", "short")
        self.assertNotIn("short", self.world.admin("eab", "list").out)

    def test_google_double_encoding(self):

        key = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=")
        done = self.world.admin("eab", "import", "--ca", "loopback", "--kid", "google",
                                stdin=base64.b64encode(key).decode() + "\n")
        self.assertIn("256 bits", done.out)
        self.assertIn("twice", done.out)

    def test_eab_twice(self):
        done = self.world.import_eab(status=FAILED)
        self.assertIn("already", done.text)

    def test_unknown_ca_and_account(self):
        self.assertIn("nowhere", self.world.admin("ca", "pin", "nowhere", "--yes", status=FAILED).text)
        self.assertIn("nobody", self.world.admin("account", "create", "nobody", status=FAILED).text)
        self.assertIn("nobody", self.world.admin("account", "register", "nobody", status=FAILED).text)

    def test_account_twice(self):
        self.assertIn("already", self.world.admin("account", "create", "loopback-ov", status=FAILED).text)

    def test_unreachable_ca(self):
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            world.start()
            world.ca.stop_processes()
            done = world.certonly("app.dept.example.edu", status=FAILED)
            self.assertIn("localhost", done.text)

    def test_user_who_is_no_administrator(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be another user")
        done = self.world.admin("--socket", self.world.admin_socket, "status", user="games",
                                status=None)
        self.assertNotEqual(done.status, OK)
        self.assertIn("administrators", done.text)

    def test_socket_without_permission(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be another user")
        closed = self.world.path("run", "closed")
        os.mkdir(closed, 0o700)
        shutil.copy(self.world.config, closed)
        done = run([CLIENT, "whoami", "--signer", os.path.join(closed, "signer.sock")],
                   user="games", status=None)
        self.assertNotEqual(done.status, OK)
        self.assertIn("ermission", done.text)
        shutil.rmtree(closed)

    def test_lost_key(self):
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            world.start()
            world.stop_signer()
            # Another token under the same name: the account's key is not there.
            shutil.rmtree(world.path("token"))
            world.make_token()
            world.start_signer()
            done = world.certonly("app.dept.example.edu", status=UNAVAILABLE)
            self.assertIn("key", done.text)
            self.assertFalse(world.admin("--json", "status").json()["token_healthy"])

    def test_audit_file_removed_under_the_signer_stops_signing(self):
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            world.start()
            os.unlink(world.path("state", "audit", "audit.jsonl"))
            done = world.certonly("app.dept.example.edu", status=None)
            self.assertEqual(done.status, UNAVAILABLE, done)
            world.signer.wait(20)
            self.assertNotEqual(world.signer.returncode, 0)
            world.signer = None

    def test_policy_explain(self):
        done = self.world.admin("policy", "explain", "--application", "app", "--name",
                                "app.dept.example.edu")
        self.assertIn("names.exact", done.out)
        done = self.world.admin("policy", "explain", "--application", "app", "--name",
                                "www.app.dept.example.edu", status=REFUSED)
        self.assertIn("names.none", done.text)

    def test_policy_explain_csr(self):
        key, csr = self.world.path("k.pem"), self.world.path("c.pem")
        make = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key, "-out", csr, "-subj", "/"]
        run([*make, "-addext", "subjectAltName=DNS:app.dept.example.edu"])
        self.world.admin("policy", "explain", "--application", "app", "--csr", csr)
        run([*make, "-addext", "subjectAltName=DNS:app.dept.example.edu,email:a@b.example"])
        done = self.world.admin("policy", "explain", "--application", "app", "--csr", csr,
                                status=REFUSED)
        self.assertIn("csr.san.email", done.text)

    def test_signals(self):
        self.world.signer.send_signal(signal.SIGHUP)
        self.world.admin("status")
        self.world.stop_signer()
        self.assertFalse(os.path.exists(self.world.socket))
        self.world.start_signer()


if __name__ == "__main__":
    unittest.main()
