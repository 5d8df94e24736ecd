"""The relay's server as strangers meet it: TLS, HTTP, limits, slow clients, floods, renewal of its
certificate, its end."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from relay_server import RELAY, RelayServer, ended, read_answer  # noqa: E402
from world import environment, make_tls, run, wait_until  # noqa: E402

PROBLEM = "urn:ietf:params:acme:error:"
LIMITS = {"connections": 30, "connections_per_address": 8, "workers": 2, "queue": 4,
          "handshake_seconds": 2, "request_seconds": 2, "response_seconds": 4, "idle_seconds": 4}


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = RelayServer(LIMITS).start()

    @classmethod
    def tearDownClass(cls):
        cls.relay.close()

    def test_versions_and_protocols_of_tls(self):
        old, new = ssl.TLSVersion.TLSv1, ssl.TLSVersion
        for name, options, good in (
                ("TLS 1.0", {"minimum_version": old, "maximum_version": new.TLSv1}, False),
                ("TLS 1.1", {"minimum_version": old, "maximum_version": new.TLSv1_1}, False),
                ("TLS 1.2", {"maximum_version": new.TLSv1_2}, True),
                ("TLS 1.3", {"minimum_version": new.TLSv1_3}, True)):
            with warnings.catch_warnings():  # TLS 1.1 is meant
                warnings.simplefilter("ignore", DeprecationWarning)
                context = self.relay.context(**options)
            context.set_ciphers("ALL:@SECLEVEL=0")
            with self.subTest(name):
                self.check_handshake(context, good)
        for name, ciphers, good in (("CBC", "ECDHE-ECDSA-AES128-SHA", False),
                                    ("AES-GCM", "ECDHE-ECDSA-AES128-GCM-SHA256", True)):
            context = self.relay.context(maximum_version=new.TLSv1_2)
            context.set_ciphers(ciphers + ":@SECLEVEL=0")
            with self.subTest(name):
                self.check_handshake(context, good)
        for name, offered, good in (("h2 only", ["h2"], False), ("both", ["h2", "http/1.1"], True),
                                    ("acme-tls/1", ["acme-tls/1"], False)):
            context = self.relay.context()
            context.set_alpn_protocols(offered)
            with self.subTest(name):
                self.check_handshake(context, good)

    def check_handshake(self, context, good):
        if good:
            with self.relay.connect(context=context) as connection:
                self.assertEqual(self.relay.ask(connection=connection)["status"], 200)
        else:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.relay.connect(context=context)

    def test_a_client_certificate_is_good_or_none(self):
        with tempfile.TemporaryDirectory() as foreign:
            make_tls(foreign)
            other = (os.path.join(foreign, "server.pem"), os.path.join(foreign, "server.key"))
            context = self.relay.context(certificate=other, maximum_version=ssl.TLSVersion.TLSv1_2)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.relay.connect(context=context)

    def test_what_is_asked_wrongly_gets_a_problem_document(self):
        jose = "Content-Type: application/jose+json"
        for name, method, path, headers, body, status, kind in (
                ("no such resource", "GET", "/else", (), b"", 404, "malformed"),
                ("POST to no resource", "POST", "/else", (jose,), b"{}", 404, "malformed"),
                ("PUT", "PUT", "/directory", (), b"", 405, "malformed"),
                ("DELETE", "DELETE", "/acme/new-nonce", (), b"", 405, "malformed"),
                ("OPTIONS, as CORS asks", "OPTIONS", "/acme/new-order",
                 ("Origin: https://evil.example", "Access-Control-Request-Method: POST"), b"", 405,
                 "malformed"),
                ("GET of what is POSTed to", "GET", "/acme/new-order", (), b"", 405, "malformed"),
                ("no content type", "POST", "/acme/new-order", (), b"{}", 415, "malformed"),
                ("plain JSON", "POST", "/acme/new-order", ("Content-Type: application/json",),
                 b"{}", 415, "malformed"),
                ("no JWS", "POST", "/acme/new-order", (jose,), b"{}", 400, "malformed"),
                ("100 KiB", "POST", "/acme/new-order", (jose,), b"x" * 100 * 1024, 413,
                 "malformed")):
            with self.subTest(name):
                answer = self.relay.ask(method, path, headers=headers, body=body)
                self.assertEqual(answer["status"], status, answer)
                fields = answer["fields"]
                self.assertEqual(fields["content-type"], ["application/problem+json"])
                self.assertEqual(json.loads(answer["body"])["type"], PROBLEM + kind)
                self.assertIn(f'<{self.relay.url}/directory>;rel="index"', fields["link"])
                self.assertEqual(fields["cache-control"], ["no-store"])
                self.assertFalse([name for name in fields if name.startswith("access-control")])
                self.assertEqual("replay-nonce" in fields, method == "POST")

    def test_more_than_there_can_be_is_refused_and_the_connection_ends(self):
        for name, headers, body in (
                ("a header of 100 KiB", ("X-Long: " + "x" * 100 * 1024,), b""),
                ("10,000 fields", tuple(f"X-{i}: y" for i in range(10000)), b""),
                ("a body of 2 MiB", (), b"x" * 2 * 1024 * 1024),
                ("no length that is one", ("Content-Length: -1",), b"")):
            with self.subTest(name), self.relay.connect() as connection:
                try:
                    answer = self.relay.ask("POST", "/acme/new-order", connection, headers, body)
                    self.assertIn(answer["status"], (400, 413))
                except OSError:  # it is cut off while it still sends
                    pass
                self.assertTrue(ended(connection, 5))
        self.assertEqual(self.relay.ask()["status"], 200)

    def test_requests_one_after_the_other_on_one_connection(self):
        with self.relay.connect() as connection:
            seen = set()
            for method, status in (("HEAD", 200), ("GET", 204)) * 3:
                answer = self.relay.ask(method, "/acme/new-nonce", connection)
                self.assertEqual(answer["status"], status)
                seen.add(answer["fields"]["replay-nonce"][0])
            self.assertEqual(len(seen), 6)
            # Two at once, the second in part: RFC 9112 9.3.2.
            connection.sendall(b"GET /directory HTTP/1.1\r\nHost: a\r\n\r\nGET /direct")
            self.assertEqual(read_answer(connection)["status"], 200)
            connection.sendall(b"ory HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(read_answer(connection)["status"], 200)

    def test_slow_clients_are_cut_off_while_others_are_served(self):
        """Slowloris: octet after octet, in the handshake, the header and the body."""
        begun = time.monotonic()
        silent, idle = self.relay.plain(), self.relay.connect()
        hello = self.relay.plain()
        hello.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        header, body = self.relay.connect(), self.relay.connect()
        header.sendall(b"GET /directory HTTP/1.1\r\nX-A: ")
        body.sendall(b"POST /acme/new-order HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        cut = {}

        def drip(name, connection):
            try:
                while time.monotonic() < begun + 12:
                    connection.sendall(b"a")
                    time.sleep(0.1)
            except OSError:
                cut[name] = time.monotonic() - begun
            connection.close()

        threads = [threading.Thread(target=drip, args=pair) for pair in
                   (("hello", hello), ("header", header), ("body", body))]
        for thread in threads:
            thread.start()
        self.addCleanup(silent.close)
        self.addCleanup(idle.close)
        self.assertTrue(ended(silent, 8))
        self.assertLess(time.monotonic() - begun, 6)
        while any(thread.is_alive() for thread in threads):
            self.assertEqual(self.relay.ask()["status"], 200)
            time.sleep(0.1)
        self.assertEqual(sorted(cut), ["body", "header", "hello"])
        self.assertGreater(min(cut.values()), 1.9)
        self.assertLess(max(cut.values()), 9)
        self.assertTrue(ended(idle, 6))
        self.assertGreater(time.monotonic() - begun, LIMITS["idle_seconds"] - 0.1)

    def test_a_flood_of_connections_keeps_nobody_out(self):
        """Beyond one address's share they are turned away; beyond all, the longest idle go."""
        mine = self.relay.connect()
        crowd = [self.relay.plain("127.0.0.2") for _ in range(20)]
        self.addCleanup(lambda: [connection.close() for connection in crowd + [mine]])
        time.sleep(0.3)
        self.assertEqual([ended(connection, 0.01) for connection in crowd],
                         [False] * 8 + [True] * 12)
        self.assertEqual(self.relay.ask(connection=mine)["status"], 200)
        for number in range(3, 9):  # 48 from six addresses, where 30 fit
            crowd += [self.relay.plain(f"127.0.0.{number}") for _ in range(8)]
        self.assertEqual(self.relay.ask()["status"], 200)
        self.assertIn("limits.connections_per_address", self.relay.log())
        wait_until("room", lambda: self.relay.ask()["status"] == 200)


class Changing(unittest.TestCase):
    def setUp(self):
        self.relay = RelayServer().start()
        self.addCleanup(self.relay.close)

    def certificate(self, connection=None):
        if connection is not None:
            return connection.getpeercert(True)
        with self.relay.connect() as fresh:
            return fresh.getpeercert(True)

    def replace(self, names):
        with tempfile.TemporaryDirectory() as folder:
            make_tls(folder)
            for name in names:
                shutil.move(os.path.join(folder, name), self.relay.path(name))

    def test_a_renewed_certificate_is_shown_to_new_connections(self):
        before = self.certificate()
        with self.relay.connect() as kept:
            # Half of a renewal: certificate and key do not go together.
            self.replace(["server.pem"])
            self.relay.signal(signal.SIGHUP)
            wait_until("the refusal", lambda: "the certificate in force stays" in self.relay.log())
            self.assertIn("server.key is not the key of the certificate", self.relay.log())
            self.assertEqual(self.certificate(), before)
            # Nobody says anything: the files are looked at.
            self.replace(["server.pem", "server.key"])
            wait_until("the new certificate", lambda: self.certificate() != before, pause=0.1)
            self.assertEqual(self.relay.ask(connection=kept)["status"], 200)
            self.assertEqual(self.certificate(kept), before)


class Ending(unittest.TestCase):
    def test_a_request_in_progress_is_answered_before_the_end(self):
        relay = RelayServer()
        self.addCleanup(relay.close)
        relay.signer.pause = 1.5  # no nonce is there before: who asks for one waits
        relay.start()
        with relay.connect() as idle, relay.connect() as asking, relay.connect() as half:
            asking.sendall(b"HEAD /acme/new-nonce HTTP/1.1\r\nHost: a\r\n\r\n")
            half.sendall(b"GET /directory HTTP/1.1\r\nHo")
            time.sleep(0.2)
            relay.signal(signal.SIGTERM)
            self.assertTrue(ended(idle, 1))
            half.sendall(b"st: a\r\n\r\n")
            for connection, method in ((half, "GET"), (asking, "HEAD")):
                answer = read_answer(connection, method)
                self.assertEqual(answer["status"], 200)
                self.assertEqual(answer["fields"]["connection"], ["close"])
        relay.end()
        with self.assertRaises(OSError):
            relay.plain()


class Starting(unittest.TestCase):
    def test_what_is_not_in_order_is_told(self):
        relay = RelayServer()
        self.addCleanup(relay.close)
        command = [RELAY, "--config", relay.path("relay.yaml")]
        done = run([*command, "--check-config"])
        self.assertIn("in order", done.out)
        self.assertNotIn("the certificate", done.err)
        run(["sed", "-i", "s/url: https:..localhost/url: https:\\/\\/other.example.edu/",
             relay.path("relay.yaml")])
        done = run([*command, "--check-config"])
        self.assertIn("the certificate: it is not for other.example.edu", done.err)
        os.chmod(relay.path("server.key"), 0o644)
        done = run([*command, "--check-config"], status=1)
        self.assertIn("server.key", done.err)
        done = run(command, status=1)
        self.assertIn("server.key", done.err)
        os.chmod(relay.path("server.key"), 0o600)
        os.chmod(relay.path("state"), 0o777)
        self.assertIn("mode 0700", run(command, status=1).err)
        os.chmod(relay.path("state"), 0o700)
        with open(relay.path("relay.yaml"), "a", encoding="ascii") as file:
            file.write("lisen: []\n")
        done = run([*command, "--check-config"], status=2)
        self.assertIn('unknown key "lisen"', done.out)
        self.assertIn("usage:", run([RELAY, "--help"]).out)
        run([RELAY, "more"], status=2)

    def test_sockets_of_the_service_manager(self):
        relay = RelayServer()
        self.addCleanup(relay.close)
        # As sd_listen_fds(3) has it; LISTEN_PID is the relay's own, so a shell sets it and becomes it.
        listening = socket.create_server(("127.0.0.1", relay.port))
        self.addCleanup(listening.close)
        script = 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=relay exec "$@"'
        command = ["sh", "-c", script, "sh", RELAY, "--config", relay.path("relay.yaml")]
        with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL,
                              close_fds=False, preexec_fn=lambda: os.dup2(
                                  listening.fileno(), 3, inheritable=True)) as process:
            try:
                wait_until("an answer", lambda: self.answers(relay), pause=0.05)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(20), 0)
            finally:
                process.kill()

    def answers(self, relay):
        try:
            return relay.ask()["status"] == 200
        except OSError:
            return False


unittest.main()
