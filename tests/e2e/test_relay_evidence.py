#!/usr/bin/python3
"""A hostile relay at a real signer: it speaks Varlink as the relay's user, and tries to register, order,
finalize and revoke without what a client signed for it."""

import base64
import hashlib
import hmac
import json
import socket
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from world import World

URL = "https://acme.dept.example.edu:14443"
NAME = "shop.dept.example.edu"
SIGNED = ("inner-account", "inner-key-change", "inner-deactivate", "new-order", "finalize", "revoke")


def b64(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Refused(Exception):
    """An error reply: its name's last part, and the rule."""

    def __init__(self, reply):
        self.told = (reply["error"].rsplit(".", 1)[1], reply["parameters"].get("rule"))
        super().__init__(f"{self.told}: {reply['parameters'].get('message')}")


class Client:
    """An ACME client: its key, what it signs (RFC 8555 6.2), its CSR."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
                    "y": b64(numbers.y.to_bytes(32, "big"))}
        self.account = None
        self.certificate_key = ec.generate_private_key(ec.SECP256R1())

    def sign(self, path, payload, nonce, **header):
        who = {"kid": f"{URL}/acme/account/{self.account}"} if self.account else {"jwk": self.jwk}
        header = {"alg": "ES256", **who, "nonce": nonce, "url": URL + path, **header}
        parts = b64(compact(header)), b64(compact(payload))
        r, s = decode_dss_signature(
            self.key.sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256())))
        return {"protected": parts[0], "payload": parts[1],
                "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}

    def csr(self, name=NAME):
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return b64(request.sign(self.certificate_key, hashes.SHA256()).public_bytes(
            serialization.Encoding.DER))

    def binding(self, credential, **header):
        header = {"alg": "HS256", "kid": credential["kid"], "url": URL + "/acme/new-account", **header}
        parts = b64(compact(header)), b64(compact(self.jwk))
        key = base64.urlsafe_b64decode(credential["key"] + "=")
        mac = hmac.new(key, ".".join(parts).encode(), hashlib.sha256).digest()
        return {"protected": parts[0], "payload": parts[1], "signature": b64(mac)}


class HostileRelay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        world = cls.world
        world.write_config()
        with open(world.config, "a", encoding="ascii") as file:
            file.write(f"relays:\n  - user: {world.user}\n    url: {URL}\n")
        world.application("shop", user="daemon", exact=[NAME], operations=["order", "revoke"], relay={})
        world.application("bank", user="bin", exact=["bank.dept.example.edu"], relay={})
        world.start_ready()
        world.admin("relay-key", "create")
        cls.shop, cls.bank = (json.loads(world.admin("app-eab", "create", name, "--json").out)
                              for name in ("shop", "bank"))
        cls.stream = socket.socket(socket.AF_UNIX)
        cls.addClassCleanup(cls.stream.close)
        cls.stream.connect(world.socket)
        cls.origin = world.ca.origin
        cls.client = Client()
        cls.client.account = cls.register(cls.client, cls.shop)

    @classmethod
    def call(cls, method, interface="org.acmeward.Relay", **parameters):
        cls.stream.sendall(compact({"method": f"{interface}.{method}", "parameters": parameters}) + b"\0")
        data = b""
        while not data.endswith(b"\0"):
            data += cls.stream.recv(65536)
        reply = json.loads(data[:-1])
        if "error" in reply:
            raise Refused(reply)
        return reply["parameters"]

    @classmethod
    def nonce(cls):
        return cls.call("GetNonces", count=1)["nonces"][0]

    @classmethod
    def hand_over(cls, method, evidence, **parameters):
        return cls.call(method, evidence=evidence, seen={"address": "192.0.2.1"}, **parameters)

    @classmethod
    def register(cls, client, credential):
        payload = {"termsOfServiceAgreed": True, "externalAccountBinding": client.binding(credential)}
        return cls.hand_over(
            "NewAccount", client.sign("/acme/new-account", payload, cls.nonce()))["account"]

    def order(self, client, name=NAME):
        payload = {"identifiers": [{"type": "dns", "value": name}]}
        evidence = client.sign("/acme/new-order", payload, self.nonce())
        return evidence, self.hand_over("NewOrder", evidence, nonce="abc")["order"]

    def refused(self, error, rule, *arguments, **named):
        with self.assertRaises(Refused) as caught:
            self.hand_over(*arguments, **named)
        self.assertEqual(caught.exception.told, (error, rule))

    def permitted(self):
        return [record["operation"] for record in self.world.records()
                if record.get("verdict") == "permit" and record.get("operation") in SIGNED]

    def claim(self, order):
        url = f"{self.origin}/finalize-order/{order}"
        self.call("ClaimUrls", order=order, urls=[{"kind": "finalize", "url": url}])
        return url

    def test_nothing_without_what_a_client_signed(self):
        client, thief = self.client, Client()
        evidence, order = self.order(client)
        url = self.claim(order)
        before = self.permitted()
        # Registering: with a credential that is not known, of another's key, for itself.
        guessed = dict(self.shop, key=b64(bytes(32)))
        stolen = client.binding(self.shop)
        for binding in (thief.binding(guessed), stolen, thief.binding(dict(self.shop, kid="app-" + 22 * "A")),
                        thief.binding(self.shop, url=URL + "/acme/new-order"),
                        thief.binding(dict(self.bank, kid=self.shop["kid"]))):
            payload = {"externalAccountBinding": binding}
            self.refused("EvidenceRefused", "evidence.binding", "NewAccount",
                         thief.sign("/acme/new-account", payload, self.nonce()))
        # Ordering: again, in the client's name, with other names, at another place, as itself.
        self.refused("EvidenceRefused", "evidence.nonce", "NewOrder", evidence, nonce="abc")
        thief.account = client.account
        forged = thief.sign("/acme/new-order", {"identifiers": [{"type": "dns", "value": NAME}]}, self.nonce())
        self.refused("EvidenceRefused", "evidence.signature", "NewOrder", forged, nonce="abc")
        fresh = client.sign("/acme/new-order", {"identifiers": [{"type": "dns", "value": NAME}]}, self.nonce())
        other = b64(compact({"identifiers": [{"type": "dns", "value": "pay." + NAME}]}))
        self.refused("EvidenceRefused", "evidence.signature", "NewOrder", dict(fresh, payload=other), nonce="abc")
        self.refused("EvidenceRefused", "evidence.url", "Revoke", fresh, nonce="abc", again=False)
        with self.assertRaises(Refused) as caught:
            self.call("NewOrder", interface="org.acmeward.Signer", application="shop", nonce="abc",
                      identifiers=[{"type": "dns", "value": NAME}])
        self.assertEqual(caught.exception.told[0], "PolicyRefused")
        # Finalizing: with its own CSR, or what was signed for another order.
        path = f"/acme/order/{order}/finalize"
        signed = client.sign(path, {"csr": client.csr()}, self.nonce())
        own = b64(compact({"csr": thief.csr()}))
        self.refused("EvidenceRefused", "evidence.signature", "Finalize", dict(signed, payload=own),
                     nonce="abc", order=order, url=url)
        self.refused("EvidenceRefused", "evidence.signature", "Finalize",
                     thief.sign(path, {"csr": thief.csr()}, self.nonce()), nonce="abc", order=order, url=url)
        self.refused("EvidenceRefused", "evidence.url", "Finalize",
                     client.sign("/acme/order/1/finalize", {"csr": client.csr()}, self.nonce()),
                     nonce="abc", order=order, url=url)
        self.assertEqual(self.permitted(), before, "nothing of that was permitted")
        # What the client did sign is signed, once it is handed over as it is.
        self.hand_over("Finalize", signed, nonce="abc", order=order, url=url)
        self.assertEqual(self.permitted(), before + ["finalize"])
        record = [r for r in self.world.records() if r.get("operation") == "finalize"][-1]
        text = f"{signed['protected']}.{signed['payload']}".encode()
        self.assertEqual((record["account_id"], record["evidence"]),
                         (client.account, hashlib.sha256(text).hexdigest()))

    def test_nothing_of_another_application(self):
        bank = Client()
        bank.account = self.register(bank, self.bank)
        _, order = self.order(self.client)
        url = self.claim(order)
        before = self.permitted()
        self.refused("PolicyRefused", "names.held-by-other", "NewOrder",
                     bank.sign("/acme/new-order", {"identifiers": [{"type": "dns", "value": NAME}]}, self.nonce()),
                     nonce="abc")
        self.refused("PolicyRefused", "names.held-by-other", "Finalize",
                     bank.sign(f"/acme/order/{order}/finalize", {"csr": bank.csr()}, self.nonce()),
                     nonce="abc", order=order, url=url)
        self.refused("LedgerRefused", "order.unknown", "Finalize",
                     bank.sign(f"/acme/order/{order}/finalize",
                               {"csr": bank.csr("bank.dept.example.edu")}, self.nonce()),
                     nonce="abc", order=order, url=url)
        self.assertEqual(self.permitted(), before)

    def test_an_account_that_nobody_has(self):
        self.assertEqual(len(self.call("GetNonces", count=256)["nonces"]), 256)
        client = Client()
        client.account = 999999
        self.refused("EvidenceRefused", "evidence.account", "NewOrder",
                     client.sign("/acme/new-order", {"identifiers": []}, self.nonce()), nonce="abc")


if __name__ == "__main__":
    unittest.main()
