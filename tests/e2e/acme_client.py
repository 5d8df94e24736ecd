"""An ACME client (RFC 8555) that does what a test asks, right or wrong, and shows each answer.

    client = AcmeClient(directory_url, ca_file)
    client.register(kid, hmac_key)
    order = client.order("a.dept.example.edu")
    order = client.finalize(order, csr_der)
    chain = client.post(order.json["certificate"]).text

Requests that fail raise Problem, unless they are made with status=None.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

PREFIX = "urn:ietf:params:acme:error:"


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.fields = response.headers
        self.text = body.decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def location(self):
        return self.fields["Location"]

    @property
    def problem(self):
        """The type of the problem document, without the namespace."""
        return self.json["type"].removeprefix(PREFIX)

    def links(self, relation):
        return [field.partition(">")[0].lstrip("<") for field in self.fields.get_all("Link", [])
                if f'rel="{relation}"' in field]

    def __repr__(self):
        return f"{self.status} {dict(self.fields)} {self.text}"


class Problem(AssertionError):
    def __init__(self, url, answer):
        super().__init__(f"{url}: {answer!r}")
        self.answer = answer


class Key:
    """An account key on P-256."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
                    "y": b64(numbers.y.to_bytes(32, "big"))}

    @property
    def thumbprint(self):
        return b64(hashlib.sha256(compact(self.jwk)).digest())

    def jws(self, header, payload):
        """payload: an object, or None for POST-as-GET."""
        body = "" if payload is None else b64(compact(payload))
        protected = b64(compact({"alg": "ES256", **header}))
        r, s = utils.decode_dss_signature(
            self.key.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        return {"protected": protected, "payload": body,
                "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}


def certificate_request(*names, key=None, addresses=()):
    """A new key and a CSR's DER. An account key's class does: it can sign for itself, too."""
    import ipaddress
    key = key or Key()
    general = [x509.DNSName(name) for name in names]
    general += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=not names)
    request = builder.sign(key.key, hashes.SHA256())
    return key, request.public_bytes(serialization.Encoding.DER)


def certificate_der(pem):
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)


class AcmeClient:
    def __init__(self, directory, ca_file, key=None):
        self.context = ssl.create_default_context(cafile=ca_file)
        parts = urllib.parse.urlsplit(directory)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.netloc = parts.netloc
        self.connection = None
        self.key = key or Key()
        self.kid = None
        self.nonce = None
        self.directory = self.get(directory).json

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def request(self, method, url, body=None):
        """One request on a connection that is kept; a connection that was closed is made anew."""
        path = url.removeprefix(self.origin)
        fields = {} if body is None else {"Content-Type": "application/jose+json"}
        for left in (1, 0):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    self.netloc, context=self.context, timeout=60)
            try:
                self.connection.request(method, path, body, fields)
                response = self.connection.getresponse()
                answer = Answer(response, response.read())
                break
            except OSError:     # closed while it was idle, or the relay was killed
                self.close()
                if left == 0:
                    raise
        if "Replay-Nonce" in answer.fields:
            self.nonce = answer.fields["Replay-Nonce"]
        return answer

    def get(self, url, status=200):
        answer = self.request("GET", url)
        if status is not None and answer.status != status:
            raise Problem(url, answer)
        return answer

    def take_nonce(self):
        if self.nonce is None:
            self.request("HEAD", self.directory["newNonce"])
        nonce, self.nonce = self.nonce, None
        return nonce

    def signed(self, url, payload, key=None, by_key=False, **header):
        """The JWS as an object; header members given replace the usual ones."""
        key = key or self.key
        who = {"jwk": key.jwk} if by_key or self.kid is None else {"kid": self.kid}
        nonce = header.pop("nonce", None) or self.take_nonce()
        return key.jws({"nonce": nonce, "url": url, **who, **header}, payload)

    def send(self, url, jws, status=(200, 201)):
        answer = self.request("POST", url, json.dumps(jws))
        if status is not None and answer.status not in status:
            raise Problem(url, answer)
        return answer

    def post(self, url, payload=None, status=(200, 201), **options):
        """A signed request; a nonce that is refused is replaced once, as RFC 8555 6.5 asks."""
        answer = self.send(url, self.signed(url, payload, **options), status=None)
        if answer.status == 400 and "nonce" not in options and answer.problem == "badNonce":
            answer = self.send(url, self.signed(url, payload, **options), status=None)
        if status is not None and answer.status not in status:
            raise Problem(url, answer)
        return answer

    # The course.

    def binding(self, kid, hmac_key, key=None):
        header = {"alg": "HS256", "kid": kid, "url": self.directory["newAccount"]}
        protected = b64(compact(header))
        payload = b64(compact((key or self.key).jwk))
        mac = hmac.new(unb64(hmac_key), f"{protected}.{payload}".encode(), hashlib.sha256).digest()
        return {"protected": protected, "payload": payload, "signature": b64(mac)}

    def register(self, kid=None, hmac_key=None, status=(200, 201), **members):
        payload = {"termsOfServiceAgreed": True, **members}
        if kid is not None:
            payload["externalAccountBinding"] = self.binding(kid, hmac_key)
        answer = self.post(self.directory["newAccount"], payload, status=status, by_key=True)
        if answer.status in (200, 201):
            self.kid = answer.location
        return answer

    def order(self, *names, addresses=(), status=(201,), **members):
        identifiers = [{"type": "dns", "value": name} for name in names]
        identifiers += [{"type": "ip", "value": address} for address in addresses]
        return self.post(self.directory["newOrder"], {"identifiers": identifiers, **members},
                         status=status)

    def wait(self, url, while_in=("pending", "processing"), seconds=60):
        """Polls an order, authorization or challenge until it is in another state."""
        end = time.monotonic() + seconds
        answer = self.post(url)
        while answer.json["status"] in while_in:
            if time.monotonic() > end:
                raise Problem(url, answer)
            time.sleep(0.05)
            answer = self.post(url)
        return answer

    def answer_all(self, order, deploy=lambda challenge, key_authorization: None, kind=None):
        """Answers a challenge of each authorization that is pending; the order when it is ready."""
        for url in order.json["authorizations"]:
            authorization = self.post(url).json
            if authorization["status"] == "valid":
                continue
            challenge = next(c for c in authorization["challenges"]
                             if kind is None or c["type"] == kind)
            deploy(challenge, f"{challenge['token']}.{self.key.thumbprint}")
            self.post(challenge["url"], {})
            self.wait(url)
        return self.wait(order.location, while_in=("pending",))

    def finalize(self, order, csr, status=(200,)):
        """Finalizes, and waits for the end of the order."""
        answer = self.post(order.json["finalize"], {"csr": b64(csr)}, status=status)
        if answer.status != 200:
            return answer
        return self.wait(order.location, while_in=("processing",))

    def issue(self, *names, addresses=(), **members):
        """The chain as PEM, its key, and the order."""
        key, csr = certificate_request(*names, addresses=addresses)
        order = self.finalize(self.order(*names, addresses=addresses, **members), csr)
        if order.json["status"] != "valid":
            raise Problem("the order", order)
        return self.post(order.json["certificate"]), key, order

    def revoke(self, pem, reason=None, key=None, status=(200,)):
        """By the account, or with the certificate's own key."""
        payload = {"certificate": b64(certificate_der(pem))}
        if reason is not None:
            payload["reason"] = reason
        return self.post(self.directory["revokeCert"], payload, status=status, key=key,
                         by_key=key is not None)

    def change_key(self, new, status=(200,)):
        url = self.directory["keyChange"]
        inner = new.jws({"jwk": new.jwk, "url": url}, {"account": self.kid, "oldKey": self.key.jwk})
        answer = self.post(url, inner, status=status)
        if answer.status == 200:
            self.key = new
        return answer


def renewal_id(pem):
    """The certificate's identifier (RFC 9773 4.1)."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    key = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{b64(key.key_identifier)}.{b64(octets)}"
