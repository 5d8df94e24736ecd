#!/usr/bin/python3
"""validation: names that the relay has proved inside the network, by real servers on loopback:
http-01 by one of Python's, dns-01 by BIND, tls-alpn-01 by lego."""

import hashlib
import http.server
import os
import threading
import unittest

from acme_client import b64, certificate_request
from bind import Bind
from relay_world import RelayWorld
from world import free_ports, run

ZONE = "dept.example.edu"


class Answers(http.server.BaseHTTPRequestHandler):
    texts = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        text = self.texts.get(self.path)
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())


class Validation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        dns_port, cls.http_port, cls.tls_port = free_ports(3)
        cls.world = RelayWorld(relay={
            "validation": {"resolver": "127.0.0.1", "resolver_port": dns_port,
                           "networks": ["127.0.0.0/8"], "http_port": cls.http_port,
                           "tls_port": cls.tls_port}})
        cls.enterClassContext(cls.world)
        world = cls.world
        cls.bind = Bind(world.folder, dns_port, {ZONE: "http A 127.0.0.1\ntls A 127.0.0.1\n"
                                                       "far A 192.0.2.1\ndns A 192.0.2.1\n"})
        cls.bind.start()
        cls.addClassCleanup(cls.bind.process.kill)
        world.relay_settings["dns"] = {"rfc2136_credentials": cls.credentials(world),
                                       "propagation_seconds": 10}
        for name, kind in (("http", "http-01"), ("dns", "dns-01"), ("tls", "tls-alpn-01")):
            world.application(name, exact=[f"{name}.{ZONE}", f"far.{ZONE}"],
                              wildcards_of=[f"{name}.{ZONE}"], operations=["order", "revoke"],
                              relay={"validation": kind})
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", cls.http_port), Answers)
        threading.Thread(target=cls.server.serve_forever, args=(0.05,), daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        world.start()

    @classmethod
    def credentials(cls, world):
        """The CA's own challenges are met by updates of that zone."""
        path = world.path("rfc2136.ini")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"dns_rfc2136_server = 127.0.0.1\ndns_rfc2136_port = {cls.bind.port}\n"
                       f"dns_rfc2136_name = acme.\ndns_rfc2136_secret = {cls.bind.secret}\n"
                       "dns_rfc2136_algorithm = HMAC-SHA256\n")
        return path

    def finish(self, client, order, *names):
        _, csr = certificate_request(*names)
        self.assertEqual(client.finalize(order, csr).json["status"], "valid")

    def test_http_01(self):
        client = self.world.account("http")
        name = f"http.{ZONE}"
        order = client.order(name)
        self.assertEqual(order.json["status"], "pending")
        _, csr = certificate_request(name)
        early = client.post(order.json["finalize"], {"csr": b64(csr)}, status=None)
        self.assertEqual((early.status, early.problem), (403, "orderNotReady"))

        def deploy(challenge, key_authorization):
            self.assertEqual(challenge["type"], "http-01")
            Answers.texts[f"/.well-known/acme-challenge/{challenge['token']}"] = key_authorization

        ready = client.answer_all(order, deploy)
        self.assertEqual(ready.json["status"], "ready")
        self.finish(client, order, name)
        # The CA wanted the name proved too: that was the relay's affair, by updates.
        with open(self.bind.path("log"), encoding="utf-8") as file:
            log = file.read()
        self.assertIn(f"adding an RR at '_acme-challenge.{name}' TXT", log)
        self.assertIn(f"deleting an RR at _acme-challenge.{name} TXT", log)

    def test_attack_an_address_outside_the_networks(self):
        client = self.world.account("http")
        order = client.order(f"far.{ZONE}")
        done = client.answer_all(order)
        self.assertEqual(done.json["status"], "invalid")
        authorization = client.post(order.json["authorizations"][0]).json
        self.assertEqual(authorization["status"], "invalid")
        self.assertIn("validation.networks", authorization["challenges"][0]["error"]["detail"])

    def test_a_wildcard_has_no_http_01(self):
        answer = self.world.account("http").order(f"*.http.{ZONE}", status=None)
        self.assertEqual((answer.status, answer.problem), (403, "rejectedIdentifier"))

    def test_dns_01(self):
        client = self.world.account("dns")
        names = (f"dns.{ZONE}", f"*.dns.{ZONE}")
        order = client.order(*names)

        def deploy(challenge, key_authorization):
            self.assertEqual(challenge["type"], "dns-01")
            digest = b64(hashlib.sha256(key_authorization.encode()).digest())
            run(["nsupdate", "-y", f"hmac-sha256:acme:{self.bind.secret}"],
                stdin=f"server 127.0.0.1 {self.bind.port}\nzone {ZONE}\nupdate add "
                      f"_acme-challenge.dns.{ZONE} 60 TXT {digest}\nsend\n")

        ready = client.answer_all(order, deploy)
        self.assertEqual(ready.json["status"], "ready")
        self.finish(client, order, *names)

    def test_tls_alpn_01_with_lego(self):
        kid, key = self.world.app_eab("tls")
        run(["lego", "--path", self.world.path("lego"), "--server", self.world.relay.directory,
             "--email", "web@dept.example.edu", "--accept-tos", "--eab", "--kid", kid, "--hmac",
             key, "--domains", f"tls.{ZONE}", "--tls", "--tls.port", f"127.0.0.1:{self.tls_port}",
             "run"],
            env={"PATH": "/usr/bin:/bin", "LEGO_CA_CERTIFICATES": self.world.relay.ca_file})


if __name__ == "__main__":
    unittest.main()
