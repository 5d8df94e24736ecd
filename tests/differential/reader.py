"""What a signed JWS says, read with Python's json and asn1crypto.

A JWS is one thing or nothing: its header has exactly four members, its URL says which operation it
can be, and its payload has exactly that operation's shape.
"""

import base64
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import load_der_x509_csr

from x509 import Certificate, Csr, Wrong, check_name, need, serial_of

B64URL = re.compile(r"[A-Za-z0-9_-]*")
SHA256 = ec.ECDSA(hashes.SHA256())


def decode(text):
    """base64url (RFC 7515 2), the one spelling of it."""
    need(isinstance(text, str) and B64URL.fullmatch(text), f"{text!r} is not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(octets).rstrip(b"=").decode() == text, "not canonical base64url")
    return octets


def members(pairs):
    names = [name for name, _ in pairs]
    need(len(set(names)) == len(names), f"a member twice among {names}")
    return dict(pairs)


def parse(text):
    """A JSON object in compact form, no member twice."""
    value = json.loads(text.decode("ascii"), object_pairs_hook=members)
    need(json.dumps(value, separators=(",", ":")).encode() == text, "JSON in another form")
    return value


def only(value, required, optional=()):
    need(set(required) <= set(value) <= set(required) | set(optional),
         f"members {sorted(value)}, expected {sorted(required)}")


def public_key(jwk):
    number = {name: int.from_bytes(decode(jwk[name]), "big") for name in ("x", "y", "n", "e")
              if name in jwk}
    if jwk["kty"] == "EC":
        need(jwk["crv"] == "P-256", "another curve")
        return ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()
    return rsa.RSAPublicNumbers(number["e"], number["n"]).public_key()


class Account:
    def __init__(self, name, url, jwk):
        self.name, self.url = name, url
        self.algorithm = "ES256" if jwk["kty"] == "EC" else "RS256"
        self.key = public_key(jwk)

    def verify(self, signature, signed):
        try:
            if self.algorithm == "RS256":
                self.key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
                return
            need(len(signature) == 64, "an ES256 signature of another length")
            r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
            self.key.verify(utils.encode_dss_signature(r, s), signed, SHA256)
        except InvalidSignature:
            raise Wrong("the signature is not of the account's key") from None


class Signed:
    """account, operation, url, nonce, names, digest (of the signing input); as the operation has
    them: csr, certificate, reason, profile, replaces."""

    csr = certificate = reason = profile = replaces = None
    names = ()


class Reader:
    def __init__(self, accounts, pins):
        self.accounts = {account.url: account for account in accounts}
        self.pins = pins        # of the directory: new_order, revoke, origin, fixed
        self.csrs = {}          # CSRs read before, by payload

    def read(self, jws):
        only(jws, ("protected", "payload", "signature"))
        signed = Signed()
        header = parse(decode(jws["protected"]))
        need(list(header) == ["alg", "kid", "nonce", "url"], f"a header of {list(header)}")
        need(all(isinstance(value, str) for value in header.values()), "a header of other types")
        need(header["kid"] in self.accounts, f"the kid {header['kid']!r}")
        signed.account = self.accounts[header["kid"]]
        need(header["alg"] == signed.account.algorithm, f"the algorithm {header['alg']!r}")
        signed.nonce, signed.url = header["nonce"], header["url"]
        need(re.fullmatch(r"[A-Za-z0-9_-]+", signed.nonce), f"the nonce {signed.nonce!r}")
        text = (jws["protected"] + "." + jws["payload"]).encode("ascii")
        signed.account.verify(decode(jws["signature"]), text)
        signed.digest = hashlib.sha256(text).hexdigest()
        self.read_payload(signed, decode(jws["payload"]))
        return signed

    def read_payload(self, signed, payload):
        if signed.url == self.pins["new_order"]:
            self.read_new_order(signed, parse(payload))
        elif signed.url == self.pins["revoke"]:
            self.read_revoke(signed, parse(payload))
        else:
            self.read_of_order(signed, payload)

    @staticmethod
    def read_new_order(signed, payload):
        signed.operation = "new-order"
        only(payload, ("identifiers",), ("profile", "replaces"))
        for identifier in payload["identifiers"]:
            need(list(identifier) == ["type", "value"], f"an identifier of {list(identifier)}")
            check_name(identifier["value"])
            address = ":" in identifier["value"] or identifier["value"].replace(".", "").isdigit()
            need(identifier["type"] == ("ip" if address else "dns"), "an identifier's type")
        signed.names = [identifier["value"] for identifier in payload["identifiers"]]
        need(0 < len(set(signed.names)) == len(signed.names), "no name, or a name twice")
        signed.profile = payload.get("profile")
        if "replaces" in payload:
            issuer, _, serial = payload["replaces"].partition(".")
            need(decode(issuer), "replaces without issuer")
            signed.replaces = serial_of(decode(serial))

    @staticmethod
    def read_revoke(signed, payload):
        signed.operation = "revoke"
        only(payload, ("certificate",), ("reason",))
        signed.certificate = Certificate(decode(payload["certificate"]))
        signed.names = signed.certificate.names
        signed.reason = payload.get("reason")
        need(signed.reason in (None, 0, 3, 4, 5, 9), f"the reason {signed.reason!r}")

    def read_of_order(self, signed, payload):
        url = signed.url
        need(url.startswith(self.pins["origin"] + "/"), f"the URL {url!r} is of another origin")
        need(re.fullmatch(r"https://[a-z0-9.:-]+(/[A-Za-z0-9._~-]+)+/?", url), f"the URL {url!r}")
        fixed = list(self.accounts) + self.pins["fixed"]
        need(not any(url.rstrip("/") == other.rstrip("/") for other in fixed), f"the fixed {url!r}")
        need(not any(url.startswith(account + "/") for account in self.accounts),
             f"the account's {url!r}")
        if payload in (b"", b"{}"):
            signed.operation = "answer-challenge" if payload else "post-as-get"
            return
        signed.operation = "finalize"
        value = parse(payload)
        only(value, ("csr",))
        signed.csr = self.read_csr(value["csr"])
        signed.names = signed.csr.names

    def read_csr(self, text):
        if text not in self.csrs:
            der = decode(text)
            parsed = Csr(der)
            need(load_der_x509_csr(der).is_signature_valid, "the CSR's signature is not its key's")
            self.csrs[text] = parsed
        return self.csrs[text]
