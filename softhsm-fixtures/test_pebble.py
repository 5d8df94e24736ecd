#!/usr/bin/python3
"""fixture.pebble: the CA starts, behaves as pebble.py says, stops and leaves nothing behind."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pebble  # noqa: E402 (the path comes first)

NAME = "www.fixture.example.org"
ERROR = "urn:ietf:params:acme:error:"
HASHES = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True,
                          check=True).stdout


def raw_signature(der):
    """r||s of 32 octets each (RFC 7518 3.4) from an ECDSA signature's DER."""
    integers, rest = [], der[2:]
    while rest:
        integers.append(int.from_bytes(rest[2:2 + rest[1]], "big"))
        rest = rest[2 + rest[1]:]
    return b"".join(number.to_bytes(32, "big") for number in integers)


class Client:
    """The least that speaks ACME: it shows what the CA does, not how a client should be."""

    def __init__(self, ca, folder):
        self.ca = ca
        self.key = os.path.join(folder, f"account-{os.urandom(4).hex()}.pem")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", self.key)
        point = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")[-64:]
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(point[:32]), "y": b64(point[32:])}
        self.url = None
        self.urls = json.loads(ca.get(ca.directory))
        context = ssl.create_default_context(cafile=ca.ca_file)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def nonce(self):
        request = urllib.request.Request(self.urls["newNonce"], method="HEAD")
        with self.opener.open(request, timeout=10) as reply:
            return reply.headers["Replay-Nonce"]

    def jws(self, header, payload, sign):
        text = [b64(json.dumps(header).encode()), b64(payload)]
        return {"protected": text[0], "payload": text[1],
                "signature": b64(sign(".".join(text).encode()))}

    def sign(self, data):
        return raw_signature(openssl("dgst", "-sha256", "-sign", self.key, data=data))

    def post(self, url, payload):
        """Status, headers and body; a badNonce is an answer like another."""
        header = {"alg": "ES256", "nonce": self.nonce(), "url": url}
        header.update({"kid": self.url} if self.url else {"jwk": self.jwk})
        octets = b"" if payload is None else json.dumps(payload).encode()
        body = json.dumps(self.jws(header, octets, self.sign)).encode()
        request = urllib.request.Request(
            url, data=body, headers={"Content-Type": "application/jose+json"})
        try:
            with self.opener.open(request, timeout=10) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, problem.headers, problem.read()

    def binding(self, kid=None, key=None, url=None, alg="HS256", jwk=None):
        octets = unb64(key or self.ca.eab_keys[self.ca.kid])
        header = {"alg": alg, "kid": kid or self.ca.kid, "url": url or self.urls["newAccount"]}
        return self.jws(header, json.dumps(jwk or self.jwk).encode(),
                        lambda data: hmac.new(octets, data, HASHES[alg]).digest())

    def new_account(self, binding=None, agreed=True):
        payload = {"termsOfServiceAgreed": agreed}
        if binding:
            payload["externalAccountBinding"] = binding
        status, headers, body = self.post(self.urls["newAccount"], payload)
        return status, headers["Location"], json.loads(body)

    def register(self):
        status, self.url, body = self.new_account(self.binding())
        assert status == 201, body

    def order(self, name=NAME):
        status, headers, body = self.post(
            self.urls["newOrder"], {"identifiers": [{"type": "dns", "value": name}]})
        assert status == 201, body
        return headers["Location"], json.loads(body)

    def read(self, url):
        return json.loads(self.post(url, None)[2])

    def wait_for(self, url, states):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.read(url)
            if found["status"] in states:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{url} is still {found['status']}, expected {states}")

    def answer_http(self, order):
        authorization = self.read(order["authorizations"][0])
        for challenge in authorization["challenges"]:
            if challenge["type"] == "http-01":
                self.post(challenge["url"], {})
                return challenge["token"]
        raise AssertionError(f"no http-01 in {authorization}")

    def thumbprint(self):
        text = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        return b64(hashlib.sha256(text.encode()).digest())


@contextlib.contextmanager
def web_server(port, answers):
    """Serves {path: text} on the port where the CA looks for http-01."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = answers.get(self.path)
            self.send_response(200 if text else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Behaviour(unittest.TestCase):
    """What the CA does; the claims of pebble.py one by one."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.ca = cls.enterClassContext(pebble.Pebble(always_valid=True))

    def client(self):
        return Client(self.ca, self.folder)

    def test_binding_is_required_and_checked(self):
        rows = [
            # name, arguments of the binding (None: no binding), status, error
            ("none", None, 403, "externalAccountRequired"),
            ("another key", {"key": pebble.new_eab_key()}, 403, "unauthorized"),
            ("unknown kid", {"kid": "kid-9"}, 403, "unauthorized"),
            ("another url", {"url": self.ca.origin + "/order-plz"}, 400, "malformed"),
            ("another account key", {"jwk": self.client().jwk}, 400, "badPublicKey"),
        ]
        for name, arguments, status, error in rows:
            with self.subTest(name):
                client = self.client()
                binding = None if arguments is None else client.binding(**arguments)
                found, _, body = client.new_account(binding)
                self.assertEqual((found, body.get("type")), (status, ERROR + error), body)

    def test_terms_come_before_the_binding(self):
        _, _, body = self.client().new_account(None, agreed=False)
        self.assertEqual(body["type"], ERROR + "agreementRequired")

    def test_one_kid_binds_several_accounts_with_any_hmac(self):
        # As long as the longest digest: Pebble 2.6 refuses shorter keys (RFC 7518 3.2).
        urls = set()
        with pebble.Pebble(eab_octets=64) as ca:
            for alg in ("HS256", "HS256", "HS512"):
                client = Client(ca, self.folder)
                status, url, body = client.new_account(client.binding(alg=alg))
                self.assertEqual(status, 201, body)
                urls.add(url)
        self.assertEqual(len(urls), 3)

    def test_a_known_key_gets_its_account_without_binding(self):
        client = self.client()
        first = client.new_account(client.binding())
        again = client.new_account(None)
        self.assertEqual((again[0], again[1]), (200, first[1]))

    def test_a_key_shorter_than_the_digest_binds_up_to_2_4(self):
        with pebble.Pebble(eab_octets=16) as ca:
            client = Client(ca, self.folder)
            status, _, body = client.new_account(client.binding())
        if status != 201:   # 2.6
            self.assertEqual((status, body["type"]), (403, ERROR + "unauthorized"))
            self.assertIn("verification", body["detail"])

    def test_second_order_is_born_ready(self):
        client = self.client()
        client.register()
        url, order = client.order()
        self.assertEqual(order["status"], "pending")
        client.answer_http(order)  # always_valid: no web server is there
        self.assertEqual(client.wait_for(url, ("ready", "invalid"))["status"], "ready")
        _, second = client.order()
        self.assertEqual(second["status"], "ready")
        self.assertEqual(second["authorizations"], order["authorizations"])
        stranger = self.client()
        stranger.register()
        self.assertEqual(stranger.order()[1]["status"], "pending")

    def test_certificate_chains_to_the_issuing_root(self):
        client = self.client()
        client.register()
        url, order = client.order()
        client.answer_http(order)
        order = client.wait_for(url, ("ready", "invalid"))
        key = os.path.join(self.folder, "leaf.key")
        der = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", key, "-subj", "/", "-outform", "DER",
                      "-addext", f"subjectAltName=DNS:{NAME}")
        status, headers, body = client.post(order["finalize"], {"csr": b64(der)})
        self.assertEqual((status, headers["Retry-After"]), (200, None), body)
        order = client.wait_for(url, ("valid", "invalid"))
        chain = client.post(order["certificate"], None)[2]
        path = os.path.join(self.folder, "chain.pem")
        with open(path, "wb") as file:
            file.write(chain)
        openssl("verify", "-CAfile", self.ca.issuing_root, "-untrusted", path,
                "-verify_hostname", NAME, path)

    def test_nothing_secret_in_arguments_or_environment(self):
        key = self.ca.eab_keys[self.ca.kid].encode()
        for pid in self.ca.pids:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    self.assertNotIn(key, file.read())
        for name in ("eab.key", "config.json", "server.key"):
            mode = os.stat(os.path.join(self.ca.state, name)).st_mode & 0o777
            self.assertEqual(mode, 0o600, name)
        self.assertNotIn(key.decode(), json.dumps(self.ca.describe()))


class RealValidation(unittest.TestCase):
    """http-01 against a web server, any name resolving to loopback."""

    def run_order(self, wrong):
        with tempfile.TemporaryDirectory() as folder, pebble.Pebble() as ca:
            client = Client(ca, folder)
            client.register()
            url, order = client.order()
            answers = {}
            with web_server(ca.http_port, answers):
                token = client.read(order["authorizations"][0])["challenges"]
                token = next(c["token"] for c in token if c["type"] == "http-01")
                text = "wrong" if wrong else f"{token}.{client.thumbprint()}"
                answers[f"/.well-known/acme-challenge/{token}"] = text
                client.answer_http(order)
                return client.wait_for(url, ("ready", "invalid"))["status"]

    def test_right_answer(self):
        self.assertEqual(self.run_order(wrong=False), "ready")

    def test_wrong_answer(self):
        self.assertEqual(self.run_order(wrong=True), "invalid")


class Options(unittest.TestCase):
    def test_nonces_are_rejected(self):
        with tempfile.TemporaryDirectory() as folder, pebble.Pebble(nonce_reject=100) as ca:
            client = Client(ca, folder)
            status, _, body = client.new_account(client.binding())
            self.assertEqual((status, body["type"]), (400, ERROR + "badNonce"))

    def test_without_binding(self):
        with tempfile.TemporaryDirectory() as folder, pebble.Pebble(require_eab=False) as ca:
            self.assertEqual(Client(ca, folder).new_account()[0], 201)

    def test_padded_key_is_told(self):
        with self.assertRaisesRegex(pebble.PebbleError, "base64"):
            pebble.Pebble(eab_keys={"kid-1": "AAAA=="}).start()


class Lifetime(unittest.TestCase):
    """Start and stop."""

    def test_a_taken_port_is_tried_again(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            taken = [holder.getsockname()[1], *pebble.free_ports(5)]
            genuine = pebble.free_ports
            lists = iter([taken])
            pebble.free_ports = lambda count: next(lists, None) or genuine(count)
            try:
                with pebble.Pebble() as ca:
                    self.assertNotEqual(ca.port, taken[0])
                    ca.get(ca.directory)
            finally:
                pebble.free_ports = genuine

    def test_restart_forgets_accounts(self):
        with tempfile.TemporaryDirectory() as folder, pebble.Pebble() as ca:
            client = Client(ca, folder)
            client.register()
            before = ca.directory
            ca.restart()
            self.assertEqual(ca.directory, before)
            status, _, _ = client.post(client.urls["newOrder"], {"identifiers": []})
            self.assertEqual(status, 400)

    def test_the_block_ends_everything(self):
        with pebble.Pebble() as ca:
            pids, state = ca.pids, ca.state
            self.assertTrue(all(map(alive, pids)))
        self.assertFalse(any(map(alive, pids)))
        self.assertFalse(os.path.exists(state))

    def test_a_killed_test_takes_its_ca_along(self):
        script = ("import pebble, time\n"
                  "ca = pebble.Pebble(state='here')\nca.start()\n"
                  "print(*ca.pids, flush=True)\ntime.sleep(600)\n")
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, PYTHONPATH=os.path.dirname(pebble.__file__),
                               PYTHONDONTWRITEBYTECODE="1")
            with subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=environment,
                                  stdout=subprocess.PIPE) as test:
                pids = [int(text) for text in test.stdout.readline().split()]
                self.assertEqual(len(pids), 2)
                test.send_signal(signal.SIGKILL)
            deadline = time.monotonic() + 10
            while any(map(alive, pids)) and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertFalse(any(map(alive, pids)))

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            state = os.path.join(folder, "ca")
            own = os.path.join(state, "of-somebody-else")

            def command(*arguments):
                return subprocess.run([sys.executable, pebble.__file__, *arguments],
                                      capture_output=True, text=True, check=False)

            started = command("start", "--state", state, "--host", "127.0.0.1")
            self.assertEqual(started.returncode, 0, started.stderr)
            with open(started.stdout.strip(), encoding="ascii") as file:
                facts = json.load(file)
            self.assertTrue(facts["directory"].startswith("https://127.0.0.1:"))
            again = command("start", "--state", state)
            self.assertEqual((again.returncode, "is in use" in again.stderr), (1, True))
            self.assertTrue(all(map(alive, facts["pids"])), "the second start ended the first")
            with open(own, "w", encoding="ascii"):
                pass
            self.assertEqual(command("stop", "--state", state).returncode, 0)
            self.assertFalse(any(map(alive, facts["pids"])))
            self.assertEqual(os.listdir(state), [os.path.basename(own)])
            self.assertEqual(command("stop", "--state", state).returncode, 0)


if __name__ == "__main__":
    unittest.main()
