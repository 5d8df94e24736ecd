#!/usr/bin/python3
"""What CAs of the field do that Pebble does not: each ends in a certificate, or in a paragraph that
says what is to be done."""

import datetime
import json
import os
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from world import World
from scripted_ca import ScriptedCa, decode, problem

OK, FAILED, CA_REFUSED, UNAVAILABLE = 0, 1, 4, 5
BASE = "app.dept.example.edu"
JSON = {"Content-Type": "application/json"}
PEM = "application/pem-certificate-chain"


class Issuer:
    """Signs what a CSR asks for."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted CA")])

    def issue(self, csr_der):
        csr = x509.load_der_x509_csr(csr_der)
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(csr.subject).issuer_name(self.name)
                   .public_key(csr.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(days=90))
                   .add_extension(csr.extensions.get_extension_for_class(
                       x509.SubjectAlternativeName).value, False))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM).decode()


class Course:
    """One order at the scripted CA: the answers of a well-behaved one, each to be replaced."""

    def __init__(self, ca, issuer, number, name):
        self.ca, self.issuer, self.name = ca, issuer, name
        self.path = f"/r{number}"
        self.url = ca.origin + self.path
        self.pem = None

    def order(self, status, headers=None, **more):
        document = {"status": status, "identifiers": [{"type": "dns", "value": self.name}],
                    "authorizations": [self.url + "/authz"], "finalize": self.url + "/finalize",
                    **more}
        return (201, {"Location": self.url + "/order", **(headers or {})}, json.dumps(document))

    def valid(self):
        status, headers, body = self.order("valid", certificate=self.url + "/cert")
        return (200, headers, body)

    def polled(self, status):
        return (200, *self.order(status)[1:])

    def authorization(self, status, *challenges):
        return (200, {}, json.dumps({
            "status": status, "identifier": {"type": "dns", "value": self.name},
            "challenges": list(challenges)}))

    def challenge(self, kind):
        return {"type": kind, "status": "pending", "url": self.url + "/challenge", "token": "t" * 22}

    def finalize(self, payload):
        self.pem = self.issuer.issue(decode(payload["csr"]))
        return self.valid()

    def install(self, **replaced):
        steps = {"new_order": self.order("ready"), "order": lambda _: self.valid(),
                 "authz": self.authorization("valid"), "finalize": self.finalize,
                 "cert": lambda _: (200, {"Content-Type": PEM}, self.pem), **replaced}
        self.ca.table[("POST", "/new-order")] = steps.pop("new_order")
        for step, answer in steps.items():
            self.ca.table[("POST", f"{self.path}/{step}")] = answer


def with_type(answer, kind):
    """The same answer with another media type."""
    def answered(payload):
        status, headers, body = answer(payload) if callable(answer) else answer
        return (status, {**headers, "Content-Type": kind}, body)
    return answered


def closing(answer):
    """The same answer, the last one on its connection."""
    def answered(payload):
        status, headers, body = answer(payload) if callable(answer) else answer
        return (status, {**headers, "Connection": "close"}, body)
    return answered


EMAIL = {"type": "sectigo-email-01", "status": "valid", "emails": ["admin@dept.example.edu"]}

# name, script (of a Course: what is replaced), exit status, what is said, seconds of patience
ROWS = [
    ("a well-behaved CA", lambda c: {}, OK, []),
    ("a valid authorization with sectigo-email-01 alone",
     lambda c: {"new_order": c.order("pending"), "authz": c.authorization("valid", EMAIL),
                "order": [c.polled("ready"), lambda _: c.valid()]}, OK, []),
    ("a pending authorization with sectigo-email-01 alone",
     lambda c: {"new_order": c.order("pending"),
                "authz": c.authorization("pending", {**EMAIL, "status": "pending"})},
     CA_REFUSED, ["the CA's validation of {name} has lapsed", "sectigo-email-01",
                  "whoever manages the domain at the CA"]),
    ("a pending authorization with dns-01 alone, where there was validation before",
     lambda c: {"new_order": c.order("pending"),
                "authz": c.authorization("pending", c.challenge("dns-01"), EMAIL)},
     CA_REFUSED, ["the CA wants {name} validated", "whoever manages the domain at the CA"]),
    ("an authorization that expired", lambda c: {"new_order": c.order("pending"),
                                                "authz": c.authorization("expired")},
     CA_REFUSED, ["the CA made it expired", "a new order"]),
    ("a name that was not delegated",
     lambda c: {"new_order": problem("rejectedIdentifier", 400,
                                     "A requested identifier has not been delegated")},
     CA_REFUSED, ["has not been delegated", "is the name delegated to this account at the CA"]),
    ("401 for an order of another account",
     lambda c: {"new_order": c.order("pending"), "authz": problem("unauthorized", 401)},
     CA_REFUSED, ["unauthorized (HTTP 401)", "belong to another account"]),
    ("401 without a type",
     lambda c: {"new_order": c.order("pending"),
                "authz": (401, {"Content-Type": "application/problem+json"}, '{"status":401}')},
     CA_REFUSED, ["no problem type told (HTTP 401)", "belong to another account"]),
    ("429 with a page", lambda c: {"new_order": (429, {"Content-Type": "text/html",
                                                       "Retry-After": "120"}, "<html>slow</html>")},
     FAILED, ["the CA limits the rate", "try again after 2"]),
    ("429 with nothing", lambda c: {"new_order": (429, {"Content-Type": "text/plain"}, "")},
     FAILED, ["(HTTP 429)", "wants fewer requests"]),
    ("429 with a problem", lambda c: {"new_order": (
        429, {"Content-Type": "application/problem+json", "Retry-After": "7200"},
        json.dumps({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "50 a week"}))},
     FAILED, ["rateLimited (HTTP 429): 50 a week", "not before 7200 seconds from now"]),
    ("503 without a body", lambda c: {"new_order": (503, {}, "")}, FAILED,
     ["(HTTP 503)", "the CA is in trouble: try again later"]),
    ("a problem without type",
     lambda c: {"new_order": (403, {"Content-Type": "application/problem+json"},
                              '{"detail":"no contract"}')},
     CA_REFUSED, ["no problem type told (HTTP 403): no contract"]),
    ("a problem of a type of the CA's own",
     lambda c: {"new_order": (400, JSON, '{"type":"https://ca.example/x","detail":"quota"}')},
     CA_REFUSED, ["https://ca.example/x (HTTP 400): quota"]),
    ("an order that stays processing",
     lambda c: {"finalize": c.polled("processing"), "order": c.polled("processing")},
     FAILED, ["is still processing", "the order is kept: the next run goes on with it"]),
    ("an order that is processing for a moment",
     lambda c: {"finalize": lambda p: (c.finalize(p), c.polled("processing"))[1],
                "order": [c.polled("processing"), lambda _: c.valid()]}, OK, []),
    ("an order that stays pending though all is valid",
     lambda c: {"new_order": c.order("pending"), "order": c.polled("pending")},
     FAILED, ["is still pending", "the order is kept"]),
    ("no Location", lambda c: {"new_order": (201, {}, c.order("ready")[2])}, FAILED,
     ["the answer has no Location", "report it to the CA"]),
    ("a relative Location", lambda c: {"new_order": c.order("ready", {"Location": c.path + "/order"})},
     OK, []),
    ("a relative Location without a slash",
     lambda c: {"new_order": c.order("ready", {"Location": c.path[1:] + "/order"}),
                "finalize": lambda p: (c.finalize(p), c.polled("processing"))[1]}, OK, []),
    ("200 for a new order", lambda c: {"new_order": (200, *c.order("ready")[1:])}, OK, []),
    ("media types with a character set",
     lambda c: {"new_order": with_type(c.order("ready"), "application/json; charset=utf-8"),
                "finalize": with_type(c.finalize, "application/json;charset=UTF-8"),
                "cert": with_type(lambda _: (200, {}, c.pem), PEM + "; charset=utf-8")}, OK, []),
    ("media types in upper case",
     lambda c: {"new_order": with_type(c.order("ready"), "Application/JSON")}, OK, []),
    ("a page in place of an order",
     lambda c: {"new_order": (200, {"Content-Type": "text/html"}, "<html>login</html>")}, FAILED,
     ["media type is text/html"]),
    ("a connection for each answer",
     lambda c: {"new_order": closing(c.order("ready")), "finalize": closing(c.finalize),
                "cert": closing(lambda _: (200, {"Content-Type": PEM}, c.pem))}, OK, []),
    ("members that nobody knows", lambda c: {"new_order": c.order(
        "ready", expires="2030-01-01T00:00:00Z", notAfter="soon", x=[{"y": None}])}, OK, []),
]


class Quirks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = cls.enterClassContext(World())
        cls.issuer = Issuer()

        # RFC 8555 7.1.1: no meta, newAuthz or renewalInfo, and neither of two that should be there.
        def directory(_):
            return (200, JSON, json.dumps({name: f"{cls.ca.origin}/{path}" for name, path in (
                ("newNonce", "nonce"), ("newAccount", "new-account"), ("newOrder", "new-order"))}))
        cls.ca = cls.enterClassContext(ScriptedCa(w.path("scripted"), {("GET", "/dir"): directory}))
        cls.ca.table[("POST", "/new-account")] = (
            201, {"Location": cls.ca.origin + "/account/1"}, '{"status":"valid"}')
        os.chmod(w.path("scripted"), 0o755)
        w.application("app", subdomains_of=[BASE], limits={"orders_per_day": 1000},
                      operations=["order", "revoke"])
        w.write_config(directory=cls.ca.directory)
        with open(w.config, encoding="ascii") as file:
            text = file.read().replace(w.ca.ca_file, cls.ca.ca_file)
        with open(w.config, "w", encoding="ascii") as file:
            file.write(text)
        w.ca.stop()
        w.start_signer()
        w.admin("ca", "pin", "loopback", "--yes")
        w.admin("account", "create", "loopback-ov")
        w.admin("account", "register", "loopback-ov", "--contact", "admin@dept.example.edu")

    def certonly(self, name, status):
        return self.world.client("certonly", "-d", name, "--ca-file", self.ca.ca_file,
                                 "--issuance-timeout", "1", status=status)

    def test_a_directory_without_revokeCert_and_keyChange(self):
        """Neither is signed for, by client, officer or key change; and what to do is said."""
        name = f"old.{BASE}"
        course = Course(self.ca, self.issuer, 950, name)
        course.install()
        self.certonly(name, OK)
        live, before = self.world.path("client", "live", name), len(self.ca.requests)
        own = ("--key-path", f"{live}/privkey.pem", "--cert-path", f"{live}/cert.pem", "--ca-file",
               self.ca.ca_file)
        for words, status in ((("--cert-name", name, "--ca-file", self.ca.ca_file), UNAVAILABLE),
                              (own, FAILED), ((*own, "--server", self.ca.directory), FAILED)):
            with self.subTest(words):
                done = self.world.client("revoke", *words, status=status)
                self.assertIn("has no revokeCert", done.err)
                self.assertIn("ask the CA", done.err)
        done = self.world.admin("revoke", "--certificate", f"{live}/cert.pem", "--yes", status=FAILED)
        self.assertIn("has no revokeCert", done.err)
        done = self.world.admin("account", "rotate", "loopback-ov", status=FAILED)
        self.assertIn("has no keyChange", done.err)
        self.assertEqual(len(self.ca.requests), before, "nothing was posted")

    def test_each(self):
        for number, (title, script, status, wanted) in enumerate(ROWS):
            with self.subTest(title):
                name = f"r{number}.{BASE}"
                course = Course(self.ca, self.issuer, number, name)
                course.install(**script(course))
                done = self.certonly(name, status)
                for words in wanted:
                    self.assertIn(words.format(name=name), done.err)
                live = self.world.path("client", "live", name)
                self.assertEqual(os.path.exists(live), status == OK)
                said = [line for line in done.err.splitlines() if not line.startswith("  ")]
                self.assertLessEqual(len(said), 2, "a paragraph, and what became of the order")

    def test_an_order_that_became_anothers_is_made_anew(self):
        """The account was changed at the CA meanwhile: the order under way answers 401."""
        name = f"again.{BASE}"
        course = Course(self.ca, self.issuer, 900, name)
        course.install(finalize=course.polled("processing"), order=course.polled("processing"))
        self.certonly(name, FAILED)
        self.ca.table[("POST", course.path + "/order")] = problem("unauthorized", 401)
        after = Course(self.ca, self.issuer, 901, name)
        after.install()
        done = self.certonly(name, OK)
        self.assertIn("another", done.err)

    def test_revoked_before_is_said_only_of_what_is_gone(self):
        """What was signed before may never have reached the CA, or been refused by it."""
        name = f"gone.{BASE}"
        directory = json.loads(self.ca.find("GET", "/dir")(None)[2])
        directory["revokeCert"] = self.ca.origin + "/revoke"
        self.ca.table[("GET", "/dir")] = (200, JSON, json.dumps(directory))
        self.world.admin("ca", "pin", "loopback", "--replace", "--yes")
        course = Course(self.ca, self.issuer, 970, name)
        course.install()
        self.certonly(name, OK)
        serial = f"{x509.load_pem_x509_certificate(course.pem.encode()).serial_number:x}"
        refused = problem("unauthorized", 403)
        self.ca.table[("POST", "/revoke")] = refused
        for certificate, status, said in (
                (lambda _: (200, {"Content-Type": PEM}, course.pem), CA_REFUSED, "1 failed"),
                (refused, CA_REFUSED, "1 failed"),
                (problem("malformed", 404), OK, "1 were revoked already")):
            self.ca.table[("POST", course.path + "/cert")] = certificate
            done = self.world.admin("revoke", "--serial", serial, "--yes", status=status)
            self.assertIn(said, done.out)


if __name__ == "__main__":
    unittest.main()
