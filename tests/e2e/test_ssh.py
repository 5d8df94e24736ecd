#!/usr/bin/python3
"""The signer of another host: ssh to a real sshd, whose forced command joins it to the socket."""

import base64
import glob
import json
import os
import shutil
import sys
import unittest

from faulty_proxy import FaultyProxy
from sshd import Sshd, client_configuration, make_key, why_not
from world import CLIENT, World, environment, run

A, B = "games", "news"      # two login accounts of any Debian
FAILED, OK, USAGE, REFUSED, UNAVAILABLE = 1, 0, 2, 3, 5
FORCED = "/acmeward connect\""

# name, what is done to the URL or the ssh configuration, what the message has
FAULTS = [
    ("another host key", {"known_hosts": "other"}, ["has changed and you have requested strict checking", "nothing was sent"]),
    ("no host key", {"known_hosts": "empty"}, ["Host key verification failed", "ssh-keyscan"]),
    ("another key of ours", {"identity": "stranger"}, ["Permission denied (publickey)",
                                                      "acmeward-admin app connect-line"]),
    ("another account", {"user": B, "identity": A}, ["Permission denied (publickey)"]),
    ("nobody listens", {"port": 1}, ["Connection refused", "is sshd running"]),
    ("no such host", {"host": "no-such-host.invalid"}, ["Could not resolve hostname"]),
    ("a configuration with a fault", {"extra": "NoSuchOption yes\n"}, ["Bad configuration option"]),
    ("an account that no policy names", {"user": "mail", "identity": "mail"},
     ["the signer closed the connection at once", "principals"]),
    ("a login that prints something", {"user": "mail", "identity": "noisy"},
     ["is no answer of a signer", "a start-up file of the account's shell"]),
]
# URL, what is said
URLS = [
    ("ssh://-oProxyCommand=x", "the host \"-oProxyCommand=x\""),
    ("ssh://-l@host", "the user \"-l\""),
    ("ssh://a:b@host", "there is no password in the URL"),
    ("ssh://host:0", "the port \"0\""),
    ("ssh://host:65536", "the port \"65536\""),
    ("ssh://host:22x", "the port \"22x\""),
    ("ssh://", "the host \"\""),
    ("ssh://[::1", "\"[\" without \"]\""),
    ("ssh://[::1]x", "behind the host"),
    ("ssh://ho st", "the host \"ho st\""),
    ("ssh://host/a;b", "the socket \"/a;b\""),
    ("ssh://host/run/../s", "without .."),
    ("ssh://host/$(x)", "the socket"),
    ("https://host", "https://host"),
]
# what the file holds, what is said; {k} is a good key line
KEYS = [
    ("{k}\n{k}\n", "more than one line"),
    ("restrict {k}\n", "expected a type of key"),
    ("from=\"*\" {k}", "expected a type of key"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "found a private key"),
    ("{k}\ttab", "octet 0x09"),
    ("{k}\r\n", "octet 0x0d"),
    ("{k}\x00", "NUL"),
    ("ssh-dss AAAA", "expected a type of key"),
    ("ssh-ed25519", "is no ssh-ed25519 key"),
    ("{short}", "not base64"),
    ("{type}", "is no ecdsa-sha2-nistp256 key"),
    ("{more}", "is no ssh-ed25519 key"),
    ("{rsa1024}", "of 2048 to 16384 bits"),
    ("", "expected a type of key"),
]


class Ssh(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        w = cls.world
        cls.proxy = cls.enterClassContext(FaultyProxy(w.ca, w.path("ca")))
        w.application("app-a", user=A, exact=["a.dept.example.edu"])
        w.application("app-b", user=B, exact=["b.dept.example.edu"])
        w.write_config(directory=cls.proxy.directory)
        w.start_signer()
        w.admin("ca", "pin", "loopback", "--yes")
        w.import_eab()
        w.register()
        os.mkdir(w.path("keys"))
        keys = {name: make_key(w.path("keys", name)) for name in (A, B, "mail", "noisy", "stranger")}
        with open(w.path("etc", "remote.yaml"), "w", encoding="ascii") as file:
            file.write(f"signer: {w.socket}\nsigner_user: {w.user}\n")
        lines = {A: [cls.line("app-a", keys[A])], B: [cls.line("app-b", keys[B])],
                 "mail": [cls.line("app-a", keys["mail"]),
                          cls.line("app-a", keys["noisy"]).replace('="', '="echo welcome; ')]}
        cls.sshd = cls.enterClassContext(Sshd(w.path("sshd"), lines))
        cls.sshd.write("empty", "")
        with open(keys["stranger"], encoding="ascii") as file:
            other = " ".join(file.read().split()[:2])
        cls.sshd.write("other", f"[127.0.0.1]:{cls.sshd.port} {other}\n")

    @classmethod
    def line(cls, application, public):
        """The line as printed, with this build's client in the installed one's place."""
        line = cls.world.admin("app", "connect-line", application, public).out.rstrip("\n")
        start = line.index("command=\"") + len("command=\"")
        end = line.index(FORCED) + len(FORCED) - 1
        return (line[:start] + f"{CLIENT} connect --config {cls.world.path('etc', 'remote.yaml')}"
                + line[end:])

    def url(self, user=A, host="127.0.0.1", port=None, **_):
        return f"ssh://{user}@{host}:{port or self.sshd.port}"

    def command(self, *words, **how):
        """The client as a host has it that reaches the signer as the user."""
        w, user = self.world, how.get("user", A)
        identity = w.path("keys", how.get("identity", user))
        known_hosts = self.sshd.path(how.get("known_hosts", "known_hosts"))
        ssh_config = client_configuration(w.path("etc", "ssh_config"), known_hosts, identity)
        with open(ssh_config, "a", encoding="ascii") as file:
            file.write(how.get("extra", ""))
        name = w.path("etc", "over-ssh.yaml")
        with open(name, "w", encoding="ascii") as file:
            file.write(f"signer: {self.url(**how)}\nssh_config: {ssh_config}\n"
                       f"ca_file: {w.ca.ca_file}\ncertificates: {w.path('host-' + user)}\n")
        os.makedirs(w.path("host-" + user), exist_ok=True)
        return [CLIENT, words[0], "--config", name, *words[1:]]

    def client(self, *words, status=OK, **how):
        return run(self.command(*words, **how), status=status)

    def certonly(self, name, *words, **how):
        return self.client("certonly", "-d", name, "--standalone", "--http-01-port",
                           str(self.world.http_port), *words, **how)

    def setUp(self):
        self.proxy.heal()
        self.proxy.accepted.clear()

    def logins(self):
        return self.sshd.log().count("Accepted publickey")

    def test_two_hosts_and_two_applications(self):
        """Each gets its own name, and is refused the other's; who logs in decides."""
        for user, name, other in ((A, "a", "b"), (B, "b", "a")):
            before = self.logins()
            self.certonly(f"{name}.dept.example.edu", "--force-renewal", user=user)
            self.assertEqual(self.logins(), before + 1, "one ssh for all requests")
            done = self.certonly(f"{other}.dept.example.edu", user=user, status=REFUSED)
            self.assertIn(f"{other}.dept.example.edu belongs to app-{other}", done.err)
            self.certonly(f"{other}.dept.example.edu", "--application", f"app-{other}", user=user,
                          status=REFUSED)
        subjects = {record["user"] for record in self.world.records()
                    if record.get("operation") == "new-order"}
        self.assertEqual(subjects, {A, B})

    def renew(self, *words, **how):
        return self.client("renew", "--force-renewal", "--no-random-sleep-on-renew", *words, user=B, **how)

    def test_one_login_for_all_renewals_of_a_run(self):
        """Whatever is asked, and of how many certificates; and a new one after a cut."""
        shutil.rmtree(self.world.path("host-" + B), ignore_errors=True)   # other tests' too
        for name in ("b1", "b2", "b3"):
            self.certonly("b.dept.example.edu", "--cert-name", name, user=B)
        before, folders = self.logins(), glob.glob("/tmp/acmeward-ssh-*")
        self.assertIn("renewed 3, failed 0", self.renew("--jobs", "2").out)
        self.assertEqual(self.logins(), before + 1)
        self.proxy.fault("new-order", self.cut_once)
        self.assertIn("renewed 3, failed 0", self.renew("--jobs", "1").out)
        self.assertEqual(self.logins(), before + 1 + 3, "first, the order's own, the next ones'")
        self.assertEqual(glob.glob("/tmp/acmeward-ssh-*"), folders)

    def test_the_login_accounts_key_does_nothing_else(self):
        """Neither another command, nor a forwarding, nor a terminal."""
        config = client_configuration(self.world.path("etc", "by-hand"), self.sshd.known_hosts,
                                      self.world.path("keys", A))
        base = ["ssh", "-F", config, "-p", str(self.sshd.port), "-oBatchMode=yes"]
        call = json.dumps({"method": "org.varlink.service.GetInfo", "parameters": {}}) + "\0"
        for words in (["id; touch /tmp/x"], ["acmeward", "connect", "--signer", "/etc/passwd"], []):
            done = run([*base, f"{A}@127.0.0.1", *words], stdin=call)
            self.assertIn("acmeward", done.out)
            self.assertNotIn("uid=", done.text)
        done = run([*base, "-W", "127.0.0.1:1", f"{A}@127.0.0.1"], status=255)
        self.assertIn("administratively prohibited", done.err)
        done = run([*base, "-tt", f"{A}@127.0.0.1"], stdin="", status=None)
        self.assertIn("PTY allocation request failed", done.err)

    def test_what_goes_wrong_is_told_in_sshs_own_words(self):
        for name, how, wanted in FAULTS:
            with self.subTest(name):
                before = self.logins()
                done = self.client("whoami", status=UNAVAILABLE, **how)
                for words in wanted:
                    self.assertIn(words, done.err)
                self.assertLessEqual(self.logins(), before + 1, "it is not tried twice")

    def test_there_is_no_ssh(self):
        empty = self.world.path("empty-path")
        os.makedirs(empty, exist_ok=True)
        done = run(self.command("whoami"), status=UNAVAILABLE, env=environment(PATH=empty))
        self.assertIn("there is no ssh here", done.err)
        self.assertIn("openssh-client", done.err)

    def test_an_ssh_configuration_that_others_may_write_is_refused(self):
        command = self.command("whoami")
        os.chmod(self.world.path("etc", "ssh_config"), 0o666)
        self.addCleanup(os.chmod, self.world.path("etc", "ssh_config"), 0o644)
        self.assertIn("ssh_config", run(command, status=FAILED).err)

    def test_nothing_of_a_url_is_an_option_or_a_shells(self):
        for url, wanted in URLS:
            with self.subTest(url):
                done = run([CLIENT, "whoami", "--signer", url], status=None)
                self.assertIn(done.status, (USAGE, UNAVAILABLE))
                self.assertIn(wanted, done.err)

    def test_a_connection_cut_in_the_middle_of_an_order(self):
        """The next request logs in again, and the order goes on in the same run."""
        before = self.logins()
        self.proxy.fault("new-order", self.cut_once)
        self.certonly("a.dept.example.edu", "--force-renewal")
        self.assertEqual(self.logins(), before + 2)
        self.assertEqual(self.proxy.accepted["new-order"], 1)

    def cut_once(self):
        self.proxy.heal()
        self.sshd.cut()
        return True

    def test_a_host_that_goes_away_in_the_middle_of_an_order(self):
        """Exit status 5; the order is kept, and the next run goes on with it."""
        self.proxy.fault("order", self.go_away)
        self.proxy.fault("finalize", self.go_away)
        done = self.certonly("b.dept.example.edu", "--force-renewal", user=B, status=UNAVAILABLE)
        self.assertIn("Connection refused", done.err)
        self.assertIn("the order is kept", done.err)
        self.proxy.heal()
        self.sshd.start()
        done = self.certonly("b.dept.example.edu", "--force-renewal", user=B)
        self.assertIn("going on with the order", done.err)
        self.assertEqual(self.proxy.accepted["new-order"], 1)

    def go_away(self):
        self.sshd.stop()
        return True


class Connect(unittest.TestCase):
    """acmeward connect, without ssh."""

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.world.application("app", exact=["app.dept.example.edu"])
        cls.world.write_config()
        cls.world.start_signer()

    def connect(self, stdin, status=OK, **env):
        return run(self.world.client_command("connect"), stdin=stdin, status=status,
                   env=environment(**env))

    def test_answers_arrive_after_the_end_of_the_input(self):
        call = json.dumps({"method": "org.varlink.service.GetInfo", "parameters": {}}) + "\0"
        done = self.connect(call * 3, SSH_ORIGINAL_COMMAND="id; reboot")
        answers = done.out.split("\0")
        self.assertEqual(len(answers), 4)
        self.assertEqual(len(set(answers[:3])), 1)
        self.assertIn("org.acmeward.Signer", answers[0])
        self.assertEqual(done.err, "")

    def test_nothing_is_parsed_on_the_way(self):
        self.assertIn("InvalidRequest", self.connect("{\0").out)

    def test_an_end_at_once(self):
        self.assertEqual(self.connect("").text, "")

    def test_no_signer(self):
        done = run([CLIENT, "connect", "--signer", self.world.path("run", "none")],
                   status=UNAVAILABLE)
        self.assertIn("nobody listens", done.err)
        self.assertEqual(done.out, "")

    def test_a_signer_of_another_host_is_refused(self):
        done = run([CLIENT, "connect", "--signer", "ssh://other"], status=USAGE)
        self.assertIn("expected a socket of this host", done.err)

    def line(self, text, status, application="app"):
        path = self.world.path("etc", "key.pub")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.world.admin("app", "connect-line", application, path, status=status)

    def material(self):
        folder = self.world.path("keys")
        os.makedirs(folder)
        self.addCleanup(shutil.rmtree, folder)
        lines = {}
        for kind in ("ed25519", "ecdsa", "rsa"):
            with open(make_key(os.path.join(folder, kind), kind), encoding="ascii") as file:
                lines[kind] = file.read().rstrip("\n")
        run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f",
             os.path.join(folder, "small")])
        with open(os.path.join(folder, "small.pub"), encoding="ascii") as file:
            lines["rsa1024"] = file.read()
        good = lines["ed25519"].split()[1]
        return lines, {"k": lines["ed25519"], "short": f"ssh-ed25519 {good[:-1]}",
                       "type": f"ecdsa-sha2-nistp256 {good}", "more": f"ssh-ed25519 {good}AAAA",
                       "rsa1024": lines["rsa1024"]}

    @staticmethod
    def hardware_key(kind, application=b"ssh:"):
        """A public key as one of FIDO's has it (OpenSSH, PROTOCOL.u2f); the hardware is not here."""
        point = bytes.fromhex(      # the base point of P-256
            "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
        fields = {"sk-ssh-ed25519@openssh.com": [b"\1" * 32],
                  "sk-ecdsa-sha2-nistp256@openssh.com": [b"nistp256", point]}[kind]
        blob = b"".join(len(part).to_bytes(4, "big") + part
                        for part in (kind.encode(), *fields, application))
        return f"{kind} {base64.b64encode(blob).decode()} hardware"

    def test_line_for_keys_in_hardware(self):
        for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"):
            with self.subTest(kind):
                good = self.hardware_key(kind)
                self.assertTrue(self.line(good, OK).out.endswith(good + "\n"))
                path = self.world.path("etc", "key.pub")
                self.assertIn("hardware", run(["ssh-keygen", "-l", "-f", path]).out)
                bad = self.hardware_key(kind, b"")
                self.assertIn(f"is no {kind} key", self.line(bad, FAILED).err)

    def test_line_for_authorized_keys(self):
        lines, parts = self.material()
        for kind in ("ed25519", "ecdsa", "rsa"):
            with self.subTest(kind):
                done = self.line(lines[kind] + "\n", OK)
                self.assertRegex(
                    done.out, r'\Arestrict,command="/[a-z/]+/acmeward connect" (ecdsa|ssh)-\S+ \S+ '
                    + kind + r"\n\Z")
                self.assertTrue(done.out.endswith(lines[kind] + "\n"))
                self.assertIn(f"user {self.world.user}", done.err)
        for text, wanted in KEYS:
            with self.subTest(text):
                for name, value in parts.items():
                    text = text.replace("{%s}" % name, value)
                done = self.line(text, FAILED)
                self.assertIn(wanted, done.err)
                self.assertEqual(done.out, "")
        self.assertIn("policy show", self.line(lines["rsa"], FAILED, application="none").err)


def load_tests(loader, tests, pattern):
    reason = why_not()
    if reason is not None:
        print(f"SKIPPED: ssh {reason}", file=sys.stderr)
        return loader.loadTestsFromTestCase(Connect)
    return tests


if __name__ == "__main__":
    unittest.main()
