#!/usr/bin/python3
"""acmeward renew: what is due is ordered again, once, whatever cut it off; what is live stays good.

Pebble 2.4 (Debian 12) has no renewal information (RFC 9773): the proxy before it answers that. 2.6
(Debian 13) has, and is asked itself too.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from faulty_proxy import FaultyProxy, Handler
from world import World, environment, run, wait_until

BASE = "app.dept.example.edu"
PAST = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")
FUTURE = ("2090-01-01T00:00:00.5Z", "2090-01-02T02:00:00+02:00")
KILLED = ("new-order", "finalize", "order", "certificate")


def decode(octets):
    return json.loads(base64.urlsafe_b64decode(octets + "=" * (-len(octets) % 4)))


class AriHandler(Handler):
    """Sets renewalInfo of the directory, and notes what orders say that they replace."""

    def answer(self):
        proxy = self.server.proxy
        if self.path.startswith("/ari/"):
            proxy.asked.append(self.path.rsplit("/", 1)[1])
            start, end = proxy.window
            body = json.dumps({"suggestedWindow": {"start": start, "end": end},
                               "explanationURL": "https://ca.example.edu/why"}).encode()
            self.write(200, [("Content-Type", "application/json"), ("Retry-After", "7200")], body)
            return
        super().answer()

    def forward(self):
        status, headers, body = super().forward()
        # No window: whatever the CA itself has.
        if self.path == "/dir" and self.server.proxy.window is not None:
            directory = json.loads(body)
            directory["renewalInfo"] = f"https://{self.headers['Host']}/ari"
            body = json.dumps(directory).encode()
        return status, headers, body

    def take(self, body):
        if self.path == "/order-plz":
            self.server.proxy.replaced.append(decode(json.loads(body)["payload"]).get("replaces"))

    do_GET = do_HEAD = do_POST = answer


class Renewed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.proxy = cls.enterClassContext(FaultyProxy(cls.world.ca, cls.world.path("ca")))
        cls.proxy.server.RequestHandlerClass = AriHandler
        cls.proxy.window, cls.proxy.asked, cls.proxy.replaced = FUTURE, [], []
        cls.policy()
        cls.world.write_config(directory=cls.proxy.directory)
        cls.world.start_signer()
        cls.world.admin("ca", "pin", "loopback", "--yes")
        cls.world.import_eab()
        cls.world.register()
        cls.root = cls.world.path("client")
        cls.log = cls.world.path("hooks.log")

    @classmethod
    def policy(cls, **more):
        cls.world.application("app", subdomains_of=[BASE], limits={"orders_per_day": 1000}, **more)

    def setUp(self):
        """Each begins with an empty folder."""
        shutil.rmtree(self.root)
        os.mkdir(self.root, 0o755)
        self.proxy.heal()
        self.proxy.window = FUTURE
        for counted in (self.proxy.seen, self.proxy.accepted, self.proxy.asked, self.proxy.replaced):
            counted.clear()
        if os.path.exists(self.log):
            os.unlink(self.log)

    def issue(self, *names, words=()):
        for name in names:
            self.world.certonly(f"{name}.{BASE}", words=("--cert-name", name, *words))
        self.proxy.accepted.clear()
        self.proxy.replaced.clear()

    def renew(self, *words, status=0, **options):
        return self.world.client("renew", "--no-random-sleep-on-renew", *words, status=status, **options)

    def report(self, *words, status=0):
        return self.renew("--json", *words, status=status).json()

    def version(self, name):
        return int("".join(c for c in os.readlink(f"{self.root}/live/{name}/cert.pem").rsplit("/")[-1]
                           if c.isdigit()))

    def state(self, name):
        with open(f"{self.root}/archive/.renewal-{name}.json", encoding="ascii") as file:
            return json.load(file)

    def settings(self, name):
        return f"{self.root}/renewal/{name}.conf"

    def hooks(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="ascii") as file:
            return file.read().splitlines()

    def echo(self, words):
        return f'echo "{words}" >> {self.log}'

    def test_window_in_the_future_is_waited_for(self):
        self.issue("a")
        self.assertEqual(self.report()["not_due"], 1)
        self.assertEqual(len(self.proxy.asked), 1)
        self.assertEqual(self.report()["not_due"], 1)
        self.assertEqual(len(self.proxy.asked), 1, "Retry-After is honoured")
        state = self.state("a")
        self.assertTrue(state["window_start"] <= state["chosen"] <= state["window_end"])
        self.assertAlmostEqual(state["ask"], time.time() + 7200, delta=60)
        self.assertEqual(self.proxy.accepted["new-order"], 0)

    def test_window_that_has_come_orders_and_says_what_is_replaced(self):
        self.issue("a")
        self.proxy.window = PAST
        done = self.report()
        self.assertEqual([c["name"] for c in done["renewed"]], ["a"])
        self.assertEqual(self.version("a"), 2)
        self.assertEqual(self.proxy.replaced, self.proxy.asked[:1])
        self.proxy.window = FUTURE
        self.assertEqual(self.report()["not_due"], 1)
        self.assertEqual(self.proxy.asked[1] == self.proxy.asked[0], False, "of the new one")

    def test_the_cas_own_renewal_information(self):
        """Its window is waited for; what it revoked is due at once; it knows what was replaced."""
        ca = self.world.ca
        if "renewalInfo" not in json.loads(ca.get(ca.directory)):
            self.skipTest("this Pebble has no renewal information (RFC 9773); 2.6 and later have")
        self.proxy.window = None
        self.issue("a")
        self.assertEqual(self.report()["not_due"], 1)
        state = self.state("a")
        self.assertTrue(state["window_start"] <= state["chosen"] <= state["window_end"])
        self.assertEqual(state["window_end"] - state["window_start"], 2 * 86400)
        self.assertAlmostEqual(state["ask"], time.time() + 6 * 3600, delta=60)
        self.assertEqual(self.proxy.accepted["new-order"], 0)

        self.issue("b")
        self.world.admin("revoke", "--certificate", f"{self.root}/live/b/cert.pem", "--yes")
        self.assertEqual([c["name"] for c in self.report()["renewed"]], ["b"])
        self.assertEqual(self.version("b"), 2)
        replaced, = self.proxy.replaced
        self.assertRegex(ca.log(), r'ARI: order "\S+" is a replacement of')
        # Somebody puts the replaced one back: a CA takes no second order for it.
        for name in ("cert", "chain", "fullchain", "privkey"):
            link = f"{self.root}/live/b/{name}.pem"
            target = os.readlink(link).replace("2.pem", "1.pem")
            os.unlink(link)
            os.symlink(target, link)
        self.renew("--cert-name", "b", "--force-renewal")
        self.assertEqual(self.proxy.replaced[1:], [replaced, None])

    def test_replaces_of_a_certificate_that_the_signer_does_not_know(self):
        """Somebody else's run handed it back: order.replaces; the order goes without."""
        policy = self.world.application("other", subdomains_of=[f"other.{BASE}"])
        self.world.admin("reload")
        self.world.certonly(f"b.other.{BASE}", words=("--application", "other", "--cert-name", "b"))
        os.unlink(policy)
        self.world.admin("reload")
        with open(self.settings("b"), encoding="ascii") as file:
            changed = file.read().replace('"other"', '"app"')
        with open(self.settings("b"), "w", encoding="ascii") as file:
            file.write(changed)
        self.proxy.replaced.clear()
        self.proxy.window = PAST
        self.assertEqual(len(self.report("--cert-name", "b")["renewed"]), 1)
        self.assertEqual(self.proxy.replaced, [None])

    def test_settings_that_changed_are_due(self):
        self.issue("a")
        self.renew()
        with open(self.settings("a"), "a", encoding="ascii") as file:
            file.write("key_type: rsa-2048\n")
        self.assertEqual(len(self.report()["renewed"]), 1)
        shown = run(["openssl", "pkey", "-in", f"{self.root}/live/a/privkey.pem", "-noout", "-text"]).out
        self.assertIn("2048", shown)
        with open(self.settings("a"), "a", encoding="ascii") as file:
            file.write("pre_hok: x\n")
        done = self.renew(status=2)
        self.assertIn("pre_hok", done.err)
        self.assertIn("a.conf:", done.err)

    def test_reuse_key_holds_for_renewals(self):
        self.issue("a", words=("--reuse-key",))
        def key():
            with open(f"{self.root}/live/a/privkey.pem", encoding="ascii") as file:
                return file.read()
        before = key()
        self.renew("--force-renewal")
        self.assertEqual((self.version("a"), key()), (2, before))

    def test_hooks(self):
        for kind in ("pre", "post", "deploy"):
            os.makedirs(f"{self.root}/renewal-hooks/{kind}", 0o755)
            for name, mode in (("10-first", 0o755), ("20-second", 0o755), ("no-program", 0o644),
                               ("10-first~", 0o755)):
                path = f"{self.root}/renewal-hooks/{kind}/{name}"
                with open(path, "w", encoding="ascii") as file:
                    file.write(f"#!/bin/sh\n{self.echo(kind + ' ' + name)}\n")
                os.chmod(path, mode)
        words = ("--pre-hook", self.echo("pre"), "--post-hook", self.echo("post $RENEWED_DOMAINS"),
                 "--deploy-hook", self.echo("deploy $RENEWED_LINEAGE $RENEWED_DOMAINS"))
        self.issue("a", "b", words=words)
        deploy = [f"deploy {self.root}/live/{name} {name}.{BASE}" for name in "ab"]
        self.assertEqual(self.hooks(), ["pre", deploy[0], f"post a.{BASE}", "pre", deploy[1], f"post b.{BASE}"])
        self.assertEqual(self.report()["not_due"], 2)
        self.assertEqual(len(self.hooks()), 6, "nothing due: no hook")
        os.unlink(self.log)
        self.renew("--force-renewal", "--jobs", "1")
        both = [f"{kind} {name}" for kind in ("pre", "deploy", "post") for name in ("10-first", "20-second")]
        pre, each, post = both[:2], both[2:4], both[4:]
        self.assertEqual(self.hooks(), [*pre, "pre", *each, deploy[0], *each, deploy[1], *post,
                                        f"post a.{BASE} b.{BASE}"])
        os.unlink(self.log)
        self.renew("--dry-run")
        self.assertEqual(self.hooks(), [*pre, "pre", *post, f"post "], "no deploy hook")

    def test_deploy_hook_that_fails_runs_again(self):
        flag = self.world.path("flag")
        self.issue("a", words=("--deploy-hook", f"{self.echo('try')}; test -e {flag}"))
        self.assertEqual(self.hooks(), ["try"])
        self.assertIn("deploy hook", self.renew(status=1).err)
        self.assertEqual(self.hooks(), ["try"] * 2)
        with open(flag, "w", encoding="ascii"):
            pass
        self.renew()
        self.renew()
        os.unlink(flag)
        self.assertEqual(self.hooks(), ["try"] * 3)
        self.assertEqual(self.version("a"), 1)

    def test_failure_touches_nothing_is_told_once_and_waited_out(self):
        self.issue("a", "b")
        files = {}
        for name in ("cert", "chain", "fullchain", "privkey"):
            with open(f"{self.root}/live/a/{name}.pem", "rb") as file:
                files[name] = file.read()
        self.policy(deny=[f"a.{BASE}"])
        self.world.admin("reload")
        try:
            self.proxy.window = PAST
            done = self.renew(status=3)
            self.assertIn("certificate a was not renewed: refused: ", done.err)
            self.assertIn("app-team@dept.example.edu", done.err)
            self.assertEqual((self.version("a"), self.version("b")), (1, 2))
            before = len(self.world.records())
            self.proxy.window = FUTURE      # for the new one of b
            done = self.report()
            self.assertEqual([c["name"] for c in done["waiting"]], ["a"])
            self.assertEqual(len(self.world.records()), before, "nothing is asked of the signer")
            done = self.renew("--force-renewal", "--cert-name", "a", status=3)
            self.assertIn("still fails", done.err)
            self.assertNotIn("app-team@dept.example.edu", done.err)
        finally:
            self.policy()
            self.world.admin("reload")
        for name, octets in files.items():
            with open(f"{self.root}/live/a/{name}.pem", "rb") as file:
                self.assertEqual(file.read(), octets)
        self.renew("--force-renewal", "--cert-name", "a")
        self.assertFalse([f for f in os.listdir(f"{self.root}/archive") if f.startswith(".failed-")])

    def test_rate_limit_holds_for_all_of_the_ca(self):
        self.issue("a", "b", "c")
        self.proxy.window = PAST
        self.proxy.fault("new-order", (429, [("Retry-After", "3600")]))
        done = self.report("--jobs", "1", status=1)
        self.assertEqual([c["name"] for c in done["failed"]], ["a"])
        self.assertEqual([c["name"] for c in done["waiting"]], ["b", "c"])
        self.proxy.heal()
        done = self.report()
        self.assertEqual([c["name"] for c in done["waiting"]], ["a", "b", "c"])
        self.assertAlmostEqual(done["waiting"][1]["until"], time.time() + 3600, delta=400)
        self.assertEqual(self.proxy.seen["new-order"], 4, "three issued, one limited")

    def test_signer_that_is_not_there_stops_the_run(self):
        self.issue("a", "b")
        done = self.renew("--json", "--force-renewal", "--jobs", "1", "--signer",
                          self.world.path("none.sock"), status=5).json()
        self.assertEqual([c["name"] for c in done["failed"]], ["a"])
        self.assertEqual(done["not_begun"], 1)
        self.assertFalse([f for f in os.listdir(f"{self.root}/archive") if f.startswith(".failed-")],
                         "it is no fault of the certificate's")

    def spawn(self, *words):
        return subprocess.Popen(self.world.client_command("renew", *words), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=environment(), start_new_session=True)

    def test_two_at_once_and_a_signal(self):
        self.issue("a")
        first = self.spawn("--force-renewal")       # sleeps first: nobody watches
        try:
            wait_until("the first to look", lambda: "ask" in self.state("a")
                       and self.state("a")["settings"] != 0)
            self.assertIn("another renew is running", self.renew(status=5).err)
        finally:
            first.send_signal(signal.SIGTERM)
            first.wait(20)
        self.assertEqual(first.returncode, -signal.SIGTERM)
        self.assertEqual(self.version("a"), 1)
        self.renew("--force-renewal")

    def test_killed_at_each_step_and_gone_on_with(self):
        for step in KILLED:
            with self.subTest(step):
                self.setUp()
                name = f"k-{step}"
                self.issue(name)
                process = None
                def kill():
                    os.killpg(process.pid, signal.SIGKILL)
                self.proxy.fault(step, kill)
                process = self.spawn("--force-renewal", "--no-random-sleep-on-renew", "-q")
                process.wait(60)
                self.proxy.heal()
                self.assertEqual(process.returncode, -signal.SIGKILL)
                self.assertEqual(self.version(name), 1)
                run(["openssl", "x509", "-in", f"{self.root}/live/{name}/cert.pem", "-noout"])
                forced = ("--force-renewal",) if step == "new-order" else ()
                self.renew(*forced)
                self.assertEqual(self.version(name), 2)
                self.assertEqual(self.proxy.accepted["new-order"], 2 if step == "new-order" else 1)

    def test_killed_before_the_deploy_hook_and_the_post_hook(self):
        flag = self.world.path("kill")
        self.issue("a", words=(
            "--pre-hook", self.echo("pre"), "--post-hook", self.echo("post"), "--deploy-hook",
            f"if test -e {flag}; then rm {flag}; kill -9 $PPID; sleep 5; fi; {self.echo('deploy')}"))
        os.unlink(self.log)
        with open(flag, "w", encoding="ascii"):
            pass
        self.renew("--force-renewal", status=-signal.SIGKILL)
        self.assertEqual((self.hooks(), self.version("a")), (["pre"], 2))
        self.assertIn("cut off", self.renew().err)
        self.assertEqual(self.hooks(), ["pre", "deploy", "post"])
        self.renew()
        self.assertEqual(len(self.hooks()), 3)

    def test_orders_are_listed_and_gone_on_with(self):
        name = f"o.{BASE}"
        process = None
        def kill():
            process.kill()
        self.proxy.fault("finalize", kill)
        process = subprocess.Popen(
            self.world.client_command("certonly", "-d", name, "--cert-name", "o", "--standalone",
                                      "--http-01-port", str(self.world.http_port), "--deploy-hook",
                                      self.echo("deploy $RENEWED_DOMAINS")),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment())
        process.wait(60)
        self.proxy.heal()
        listed = self.world.client("orders", "--json").json()["orders"]
        self.assertEqual([(o["name"], o["names"], o["application"], o["fault"]) for o in listed],
                         [("o", [name], "app", None)])
        self.assertIn(listed[0]["url"], self.world.client("orders").out)
        self.assertEqual(self.report()["examined"], 0, "it has no settings yet: renew leaves it")
        done = self.world.client("orders", "resume")
        self.assertIn("renewed: certificate o, version 1", done.out)
        self.assertEqual((self.version("o"), self.proxy.accepted["new-order"]), (1, 1))
        self.assertEqual(self.hooks(), [f"deploy {name}"])
        self.assertTrue(os.path.exists(self.settings("o")))
        self.assertIn("no order is under way", self.world.client("orders", "resume").out)
        self.assertEqual(self.world.client("orders", "--json").json()["orders"], [])

    def test_many_at_a_time(self):
        names = [f"n{i}" for i in range(8)]
        self.issue(*names)
        self.proxy.window = PAST
        done = self.report("--jobs", "4")
        self.assertEqual(sorted(c["name"] for c in done["renewed"]), names)
        for name in names:
            self.assertEqual(self.version(name), 2)
        self.assertEqual({json.loads(run(self.world.client_command("certificates", "--json")).out)
                          ["certificates"][i]["fault"] for i in range(8)}, {None})

    def test_dry_run_orders_nothing(self):
        self.issue("a")
        before = self.proxy.seen["new-order"]
        done = self.report("--dry-run")
        self.assertEqual([c["status"] for c in done["renewed"]], ["allowed"])
        self.assertIn("allowed", self.world.certonly(f"x.{BASE}", words=("--dry-run",)).out)
        self.assertEqual(self.proxy.seen["new-order"], before)
        self.assertFalse(os.path.exists(f"{self.root}/live/x.{BASE}"))
        refused = self.world.certonly("x.dept.example.edu", words=("--dry-run",), status=3)
        self.assertIn("names.none", refused.text)

    def stage(self):
        """A second application of the same names, whose account is at another CA: Pebble as it is."""
        w = self.world
        with open(w.config, encoding="ascii") as file:
            text = file.read()
        self.addCleanup(self.restore, text)
        with open(w.config, "w", encoding="ascii") as file:
            file.write(text.replace("accounts:\n", f"""  - name: staging
    directory: {w.ca.directory}
    ca_file: {w.ca.ca_file}
accounts:
  - name: staging
    ca: staging
    ceiling: [dept.example.edu]
""", 1))
        w.stop_signer()
        w.start_signer()
        w.admin("ca", "pin", "staging", "--yes")
        with open(w.ca.key_file, encoding="ascii") as file:
            w.admin("eab", "import", "--ca", "staging", "--kid", w.ca.kid, stdin=file.read())
        w.register("staging")
        w.application("rehearsal", account="staging", subdomains_of=[BASE])
        w.admin("reload")
        with open(w.path("etc", "client.yaml"), encoding="ascii") as file:
            text = file.read()
        with open(w.path("etc", "stage.yaml"), "w", encoding="ascii") as file:
            file.write(text + "application: app\ndry_run_application: rehearsal\n")

    def restore(self, text):
        with open(self.world.config, "w", encoding="ascii") as file:
            file.write(text)
        os.unlink(self.world.path("etc", "policy.d", "rehearsal.yaml"))
        self.world.stop_signer()
        self.world.start_signer()

    def test_dry_run_orders_from_a_staging_ca_and_keeps_nothing(self):
        self.issue("a")
        self.stage()
        before, files = self.proxy.seen["new-order"], self.files()
        done = self.world.client("renew", "--dry-run", "--json", name="stage").json()
        self.assertEqual([c["rehearsed"] for c in done["renewed"]], [True])
        done = self.world.certonly(f"x.{BASE}", words=("--dry-run",), name="stage")
        self.assertIn(f"rehearsed: {self.world.ca.directory} issued it for application rehearsal",
                      done.out)
        self.assertEqual(self.proxy.seen["new-order"], before)
        self.assertEqual(self.files(), files)
        orders = [r["application"] for r in self.world.records() if r.get("operation") == "finalize"]
        self.assertEqual(orders[-2:], ["rehearsal"] * 2)
        with open(self.world.path("etc", "stage.yaml"), "a", encoding="ascii") as file:
            file.write("dry_run_ca_file: /etc/ssl/certs/ca-certificates.crt\n")
        done = self.world.certonly(f"x.{BASE}", words=("--dry-run",), name="stage", status=1)
        self.assertIn("rehearsal as rehearsal", done.err)
        done = self.world.certonly(f"x.{BASE}", words=("--dry-run", "--application", "rehearsal"),
                                   name="stage", status=2)
        self.assertIn("a dry run would use up its limits", done.err)

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.startswith((".lock", ".port")):
                    continue
                path = os.path.join(folder, name)
                found[path] = os.readlink(path) if os.path.islink(path) else os.stat(path).st_mtime_ns
        return found

    def test_mistakes(self):
        self.assertIn("there are no certificates", self.renew(status=1).err)
        self.issue("a")
        self.assertIn("has no settings", self.renew("--cert-name", "b", status=1).err)
        self.assertIn("--jobs", self.renew("--jobs", "0", status=2).err)

    def test_deleted_is_not_renewed(self):
        self.issue("a")
        self.renew()
        self.world.client("delete", "--cert-name", "a")
        self.assertEqual(self.report("--force-renewal")["examined"], 0)
        self.assertEqual([f for f in os.listdir(f"{self.root}/archive") if "a" in f.split("-")[-1]
                          and not f.startswith(".lock")], [])
        self.assertIn("there is no certificate", self.world.client(
            "delete", "--cert-name", "a", status=1).err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
