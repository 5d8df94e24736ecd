"""The floor of an issuance: the bare requests of RFC 8555 on one TLS connection, and nothing else.

No certificate is stored, checked or looked at, keys and CSRs are made beforehand, the account's key
is a file. Standard library, and libcrypto for the one thing it lacks: ECDSA.
"""

import base64
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import ssl
import subprocess
import time
import urllib.parse

FIELD = 32          # octets of a coordinate of P-256
POLL_SECONDS = 0.001
POLLS_MAX = 5000


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


class Key:
    """An EC P-256 key in software."""

    def __init__(self, path):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        point = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")[-2 * FIELD:]
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64url(point[:FIELD]),
                    "y": b64url(point[FIELD:])}
        with open(path, "rb") as file:
            self._load(file.read())

    def _load(self, pem):
        crypto = ctypes.CDLL("libcrypto.so.3")
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        for name, result, arguments in (
                ("BIO_new_mem_buf", pointer, (ctypes.c_char_p, ctypes.c_int)),
                ("PEM_read_bio_PrivateKey", pointer, (pointer,) * 4),
                ("EVP_sha256", pointer, ()),
                ("EVP_MD_CTX_new", pointer, ()),
                ("EVP_MD_CTX_free", None, (pointer,)),
                ("EVP_DigestSignInit", ctypes.c_int, (pointer,) * 5),
                ("EVP_DigestSign", ctypes.c_int, (pointer, ctypes.c_char_p, ctypes.POINTER(size),
                                                  ctypes.c_char_p, size))):
            function = getattr(crypto, name)
            function.restype, function.argtypes = result, arguments
        self.crypto = crypto
        self.digest = crypto.EVP_sha256()
        self.key = crypto.PEM_read_bio_PrivateKey(
            crypto.BIO_new_mem_buf(pem, len(pem)), None, None, None)
        if not self.key:
            raise RuntimeError("libcrypto does not take the key")

    def sign(self, data):
        """r || s, as ES256 wants it (RFC 7518 3.4)."""
        buffer = ctypes.create_string_buffer(80)
        size = ctypes.c_size_t(len(buffer))
        context = self.crypto.EVP_MD_CTX_new()
        good = self.crypto.EVP_DigestSignInit(context, None, self.digest, None, self.key) == 1 and \
            self.crypto.EVP_DigestSign(context, buffer, ctypes.byref(size), data, len(data)) == 1
        self.crypto.EVP_MD_CTX_free(context)
        if not good:
            raise RuntimeError("libcrypto does not sign")
        return raw_of(buffer.raw[:size.value])


def raw_of(der):
    """SEQUENCE { INTEGER r, INTEGER s } of less than 128 octets."""
    length = der[3]
    r, s = der[4:4 + length], der[6 + length:]
    return b"".join(part.lstrip(b"\0").rjust(FIELD, b"\0") for part in (r, s))


class Failed(Exception):
    """The CA answers otherwise than expected."""


class Account:
    """A registered account, with names whose authorizations are valid."""

    def __init__(self, ca, folder):
        self.ca = ca
        self.folder = folder
        self.key = Key(os.path.join(folder, "floor.key"))
        self.context = ssl.create_default_context(cafile=ca.ca_file)
        self.requests = 0
        self.url = None

    # Requests.

    def connect(self):
        parts = urllib.parse.urlsplit(self.ca.directory)
        self.connection = http.client.HTTPSConnection(parts.hostname, parts.port,
                                                      context=self.context)

    def request(self, method, url, body=None):
        self.requests += 1
        self.connection.request(method, urllib.parse.urlsplit(url).path, body,
                                {"Content-Type": "application/jose+json"} if body else {})
        reply = self.connection.getresponse()
        data = reply.read()
        if reply.status >= 400:
            raise Failed(f"{method} {url}: {reply.status} {data.decode(errors='replace')}")
        self.nonce = reply.headers.get("Replay-Nonce", getattr(self, "nonce", None))
        return reply.headers, data

    def post(self, url, payload):
        """Payload None: POST-as-GET."""
        header = {"alg": "ES256", "nonce": self.nonce, "url": url}
        header.update({"kid": self.url} if self.url else {"jwk": self.key.jwk})
        protected = b64url(json.dumps(header).encode())
        text = "" if payload is None else b64url(json.dumps(payload).encode())
        signature = b64url(self.key.sign(f"{protected}.{text}".encode()))
        return self.request("POST", url, json.dumps(
            {"protected": protected, "payload": text, "signature": signature}))

    # RFC 8555.

    def begin(self):
        self.connect()
        self.directory = json.loads(self.request("GET", self.ca.directory)[1])
        self.request("HEAD", self.directory["newNonce"])

    def register(self):
        self.begin()
        url = self.directory["newAccount"]
        with open(self.ca.key_file, encoding="ascii") as file:
            text = file.read().strip()
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        protected = b64url(json.dumps({"alg": "HS256", "kid": self.ca.kid, "url": url}).encode())
        payload = b64url(json.dumps(self.key.jwk).encode())
        mac = hmac.new(secret, f"{protected}.{payload}".encode(), hashlib.sha256).digest()
        headers, _ = self.post(url, {
            "termsOfServiceAgreed": True,
            "externalAccountBinding": {"protected": protected, "payload": payload,
                                       "signature": b64url(mac)}})
        self.url = headers["Location"]

    def wait(self, url, status):
        """Polls until the status is there."""
        for _ in range(POLLS_MAX):
            found = json.loads(self.post(url, None)[1])
            if found["status"] == status:
                return found
            if found["status"] not in ("pending", "processing"):
                raise Failed(f"{url} is {found}")
            time.sleep(POLL_SECONDS)
        raise Failed(f"{url} does not become {status}")

    def order(self, name):
        headers, data = self.post(self.directory["newOrder"],
                                  {"identifiers": [{"type": "dns", "value": name}]})
        return headers["Location"], json.loads(data)

    def validate(self, name):
        """Once: from then on orders for the name are born ready."""
        _, order = self.order(name)
        for url in order["authorizations"]:
            authorization = json.loads(self.post(url, None)[1])
            self.post(authorization["challenges"][0]["url"], {})
            self.wait(url, "valid")
        self.connection.close()

    def make_csr(self, name):
        path = os.path.join(self.folder, "floor-leaf.key")
        return b64url(openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                              "ec_paramgen_curve:P-256", "-nodes", "-keyout", path, "-subj", "/",
                              "-addext", f"subjectAltName=DNS:{name}", "-outform", "DER"))

    def issue(self, name, csr):
        """Directory, nonce, order, finalize, poll, certificate: the seconds and requests of it."""
        self.requests = 0
        start = time.perf_counter()
        self.begin()
        self.obtain(name, csr)
        seconds = time.perf_counter() - start
        self.connection.close()
        return seconds, self.requests

    def issue_further(self, name, csr):
        """The same with directory, nonce and connection at hand: order, finalize, poll, certificate."""
        self.begin()
        self.requests = 0
        start = time.perf_counter()
        self.obtain(name, csr)
        seconds = time.perf_counter() - start
        self.connection.close()
        return seconds, self.requests

    def obtain(self, name, csr):
        url, order = self.order(name)
        self.post(order["finalize"], {"csr": csr})
        order = self.wait(url, "valid")
        _, chain = self.post(order["certificate"], None)
        if b"BEGIN CERTIFICATE" not in chain:
            raise Failed(f"no certificate came: {chain[:200]}")
