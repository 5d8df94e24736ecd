#!/usr/bin/python3
"""Challenges met for real: Pebble looks, at each order anew, at what was deployed."""

import os
import signal
import subprocess
import unittest

from world import World, environment, free_ports, run, wait_until

APP = "app.dept.example.edu"


class Challenges(unittest.TestCase):
    """One world for all; every test has names of its own, so every name is validated."""

    @classmethod
    def setUpClass(cls):
        cls.world = World(pebble={"always_valid": False, "reuse": 0},
                          ceiling=("dept.example.edu", "127.0.0.0/24", "'::1'"))
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=[APP], subdomains_of=[APP], wildcards_of=[APP, f"star.{APP}"],
                              addresses=["127.0.0.0/24", "::1"])
        cls.world.start()

    def issue(self, *names, words=(), status=0, **how):
        listed = [word for name in names for word in ("-d", name)]
        return self.world.client("certonly", *listed, "--cert-name", "c", "--force-renewal", *words,
                                 status=status, **how)

    def names(self):
        text = run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                    self.world.path("client", "live", "c", "cert.pem")]).out
        return sorted(part.strip().split(":", 1)[1] for part in text.splitlines()[-1].split(","))

    def standalone(self, *words, at="127.0.0.1"):
        return ("--standalone", "--http-01-port", str(self.world.http_port), "--http-01-address",
                at, "--tls-alpn-01-port", str(self.world.ca.tls_port), "--tls-alpn-01-address", at,
                *words)

    def folder(self, name):
        path = self.world.path(name)
        os.makedirs(path, exist_ok=True)
        return path

    def web_server(self, root):
        server = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "python3", "-m", "http.server", "--bind", "127.0.0.1",
             "--directory", root, str(self.world.http_port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment())

        def end():
            server.kill()
            server.wait()
        self.addCleanup(end)
        wait_until("the web server", lambda: run(
            ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{self.world.http_port}/"],
            status=None).status == 0)

    def test_standalone_http_01_several_names(self):
        names = [f"h{i}.{APP}" for i in range(4)]
        self.issue(*names, words=self.standalone())
        self.assertEqual(self.names(), names)

    def test_standalone_tls_alpn_01_several_names(self):
        names = [f"t{i}.{APP}" for i in range(4)]
        self.issue(*names, words=self.standalone("--preferred-challenges", "tls-alpn"))
        self.assertEqual(self.names(), names)
        self.assertFalse(f"http://t0.{APP}" in self.world.ca.log(), "not by http-01")

    def test_runs_at_once_take_turns_at_the_port(self):
        """renew has several under way; each needs the port for itself."""
        runs = [subprocess.Popen(
            self.world.client_command("certonly", "-d", f"p{i}.{APP}", *self.standalone()),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=environment()) for i in range(4)]
        for i, client in enumerate(runs):
            _, told = client.communicate(timeout=60)
            self.assertEqual(client.returncode, 0, f"p{i}: {told}")

    def test_addresses(self):
        """RFC 8738, by both challenges that it allows."""
        for address, challenge in (("127.0.0.2", "http"), ("127.0.0.3", "tls-alpn-01")):
            words = self.standalone("--preferred-challenges", challenge, at=address)
            self.issue(address, words=words)
            self.assertEqual(self.names(), [address])
        if os.path.exists("/proc/net/if_inet6"):
            self.issue("::1", words=self.standalone("--preferred-challenges", "tls-alpn", at="::1"))
            self.assertEqual(self.names(), ["0:0:0:0:0:0:0:1"])
        done = self.issue("127.0.1.1", words=words, status=3)
        self.assertIn("127.0.1.1", done.err)

    def test_several_web_roots(self):
        """certbot's -w A -d a -w B -d b; here one server is enough to see both."""
        roots = [self.folder("root-a"), self.folder("root-b")]
        self.web_server(roots[0])
        done = self.world.client(
            "certonly", "--cert-name", "c", "--force-renewal", "--webroot", "-w", roots[0], "-d",
            f"w1.{APP}", "-d", f"w2.{APP}", "-w", roots[1], "-d", f"w3.{APP}", status=4)
        self.assertIn(f"w3.{APP}", done.err, "its root is served by nobody")
        for root in roots:
            self.assertEqual(os.listdir(root), [], "tokens and folders are gone after a failure")
        os.rmdir(roots[1])
        os.symlink(roots[0], roots[1])
        self.world.client("certonly", "--cert-name", "c", "--force-renewal", "--webroot", "-w",
                          roots[0], "-d", f"w1.{APP}", "-w", roots[1], "-d", f"w3.{APP}")
        self.assertEqual(os.listdir(roots[0]), [])

    def test_manual_hooks_http_01(self):
        root, said = self.folder("root-m"), self.world.path("said")
        self.web_server(root)
        place = f"{root}/.well-known/acme-challenge"
        auth = (f'mkdir -p {place} && printf %s "$CERTBOT_VALIDATION" >{place}/"$CERTBOT_TOKEN" && '
                f'echo "$CERTBOT_DOMAIN $CERTBOT_REMAINING_CHALLENGES $CERTBOT_ALL_DOMAINS" >>{said}; '
                'echo "made $CERTBOT_DOMAIN"')
        cleanup = (f'rm {place}/"$CERTBOT_TOKEN"; '
                   f'echo "cleanup $CERTBOT_DOMAIN $CERTBOT_AUTH_OUTPUT" >>{said}')
        self.issue(f"m1.{APP}", f"m2.{APP}", words=(
            "--manual", "--manual-auth-hook", auth, "--manual-cleanup-hook", cleanup))
        with open(said, encoding="ascii") as file:
            lines = file.read().splitlines()
        first = lines[0].split()[0]     # the order is the CA's
        second = {f"m1.{APP}": f"m2.{APP}", f"m2.{APP}": f"m1.{APP}"}[first]
        self.assertEqual(lines, [
            f"{first} 1 {first},{second}", f"{second} 0 {first},{second}",
            f"cleanup {first} made {first}", f"cleanup {second} made {second}"])
        self.assertEqual(os.listdir(place), [])

    def test_manual_hooks_dns_01_and_a_wildcard(self):
        """The hook speaks to the test CA's resolver; a wildcard and its base name share a label."""
        manage = f"http://127.0.0.1:{self.world.ca.dns_management_port}"
        name = f"_acme-challenge.star.{APP}."
        auth = (f'test -z "$CERTBOT_TOKEN" && curl -sf {manage}/set-txt -d '
                f'"{{\\"host\\":\\"_acme-challenge.$CERTBOT_DOMAIN.\\",\\"value\\":\\"$CERTBOT_VALIDATION\\"}}"')
        cleanup = f'curl -sf {manage}/clear-txt -d "{{\\"host\\":\\"{name}\\"}}"'
        self.issue(f"*.star.{APP}", f"star.{APP}", words=(
            "-a", "manual", "--preferred-challenges", "dns,http", "--manual-auth-hook", auth,
            "--manual-cleanup-hook", cleanup))
        self.assertEqual(self.names(), [f"*.star.{APP}", f"star.{APP}"])

    def test_a_hook_that_fails_ends_the_run_and_is_cleaned_up_after(self):
        mark = self.world.path("cleaned")
        done = self.issue(f"mf.{APP}", status=1, words=(
            "--manual", "--manual-auth-hook", "echo no such zone >&2; exit 7",
            "--manual-cleanup-hook", f"echo x >>{mark}"))
        self.assertIn("status 7: no such zone", done.err)
        self.assertTrue(os.path.exists(mark))

    def test_a_wildcard_without_dns_01_is_told_what_to_do(self):
        done = self.issue(f"*.{APP}", words=self.standalone(), status=4)
        self.assertIn("dns-01", done.err)

    def test_a_signal_removes_what_was_deployed(self):
        """SIGTERM or SIGINT while the CA validates: no token stays, no port, and the order is kept."""
        root, mark = self.folder("root-s"), self.world.path("signal-cleaned")
        for number in (signal.SIGTERM, signal.SIGINT):
            for words in (("--webroot", "-w", root),
                          ("--manual", "--manual-auth-hook", f"touch {root}/x; sleep 30",
                           "--manual-cleanup-hook", f"rm {root}/x; touch {mark}")):
                client = subprocess.Popen(
                    self.world.client_command("certonly", "-d", f"s.{APP}", "--cert-name", "s", *words),
                    stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(),
                    stdout=subprocess.DEVNULL)
                wait_until("a token", lambda: os.listdir(root), pause=0.002)
                client.send_signal(number)
                _, told = client.communicate(timeout=20)
                self.assertEqual(client.returncode, -number, told)
                self.assertEqual(os.listdir(root), [], told)
        self.assertTrue(os.path.exists(mark))


if __name__ == "__main__":
    unittest.main(verbosity=2)
