#!/usr/bin/python3
"""ACME clients that Debian has not, replayed at a real relay, signer, SoftHSM and Pebble: what they
send, in which order, and what they insist on in the answers, as their sources say it. Each issues,
renews with a new key and revokes (nginx's module can't). A credential is good for one account.

The sources that were read are named at each replay: repository, version or commit, file and function.
"""

import dataclasses
import hashlib
import hmac
import http.client
import json
import ssl
import unittest
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from acme_client import Answer, Problem, b64, certificate_der, renewal_id, unb64
from relay_world import RelayWorld

DOMAIN = "dept.example.edu"
HOOKS = {"dns": {"auth_hook": "true", "cleanup_hook": "true"}}
JOSE = "application/jose+json"
SERVER_AND_CLIENT = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


class Key:
    """Of an account or a certificate: what its algorithm (RFC 7518 3.1) says."""

    CURVES = {"ES256": (ec.SECP256R1, "P-256", hashes.SHA256),
              "ES384": (ec.SECP384R1, "P-384", hashes.SHA384)}

    def __init__(self, algorithm, bits=2048):
        self.algorithm = algorithm
        self.digest = hashes.SHA256()
        if algorithm == "RS256":
            self.key = rsa.generate_private_key(65537, bits)
            numbers = self.key.public_key().public_numbers()
            self.jwk = {"e": b64(b"\1\0\1"), "kty": "RSA",
                        "n": b64(numbers.n.to_bytes(bits // 8, "big"))}
            return
        curve, name, digest = self.CURVES[algorithm]
        self.digest = digest()
        self.key = ec.generate_private_key(curve())
        self.size = self.key.key_size // 8
        numbers = self.key.public_key().public_numbers()
        self.jwk = {"crv": name, "kty": "EC", "x": b64(numbers.x.to_bytes(self.size, "big")),
                    "y": b64(numbers.y.to_bytes(self.size, "big"))}

    def sign(self, octets):
        if self.algorithm == "RS256":
            return self.key.sign(octets, padding.PKCS1v15(), self.digest)
        pair = utils.decode_dss_signature(self.key.sign(octets, ec.ECDSA(self.digest)))
        return b"".join(number.to_bytes(self.size, "big") for number in pair)


@dataclasses.dataclass
class Habits:
    """How a client writes requests."""

    agent: str
    header: tuple                     # members of the protected header; "who" is kid or jwk
    members: tuple = ("protected", "payload", "signature")
    spaced: bool = False              # JSON with a space after each colon and comma
    fields: tuple = ()                # further HTTP header fields of each request
    content_type: str = JOSE
    nonce: str = "HEAD"
    keeps: bool = True                # the connection
    expects: bool = False             # Expect: 100-continue, and waits for it (RFC 9110 10.1.1)
    protocols: tuple = ("http/1.1",)  # ALPN


class Replay:
    """One client at one relay."""

    def __init__(self, world, habits, key):
        self.habits, self.key, self.kid, self.nonce = habits, key, None, None
        self.context = ssl.create_default_context(cafile=world.relay.ca_file)
        self.context.set_alpn_protocols(list(habits.protocols))
        self.netloc = urllib.parse.urlsplit(world.relay.url).netloc
        self.origin = world.relay.url
        self.connection = None
        self.directory = self.get(world.relay.directory).json

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    # HTTP.

    def begin(self, method, url, fields):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.netloc, context=self.context,
                                                          timeout=60)
        self.connection.putrequest(method, url.removeprefix(self.origin), skip_accept_encoding=True)
        for name, value in (("User-Agent", self.habits.agent), *self.habits.fields, *fields):
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def await_continue(self):
        """The body is sent when the relay has asked for it: a client waits only for so long."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = self.connection.sock.recv(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 100 "), head

    def request(self, method, url, body=None, fields=()):
        if body is not None:
            fields = (*fields, ("Content-Length", str(len(body))))
        waits = body is not None and self.habits.expects
        self.begin(method, url, (*fields, ("Expect", "100-continue")) if waits else fields)
        if waits:
            self.await_continue()
        if body is not None:
            self.connection.send(body)
        response = self.connection.getresponse()
        answer = Answer(response, response.read())
        assert not (self.habits.keeps and response.will_close), answer
        if not self.habits.keeps:
            self.close()
        self.nonce = answer.fields["Replay-Nonce"] or self.nonce
        return answer

    def get(self, url):
        answer = self.request("GET", url)
        if answer.status != 200:
            raise Problem(url, answer)
        return answer

    def take_nonce(self):
        """RFC 8555 7.2: 200 for HEAD, 204 for GET."""
        if self.nonce is None:
            fields = (("Content-Length", "0"),) if self.habits.nonce == "GET" else ()
            answer = self.request(self.habits.nonce, self.directory["newNonce"], fields=fields)
            assert answer.status == (200 if self.habits.nonce == "HEAD" else 204), answer
        nonce, self.nonce = self.nonce, None
        return nonce

    # JWS.

    def json(self, value):
        return json.dumps(value, separators=None if self.habits.spaced else (",", ":")).encode()

    def jws(self, header, payload, sign):
        protected = b64(self.json(header))
        parts = {"protected": protected, "payload": b64(payload),
                 "signature": b64(sign(f"{protected}.{b64(payload)}".encode()))}
        return {name: parts[name] for name in self.habits.members}

    def signed(self, url, payload, key, by_key):
        """`payload`: octets as they are ("" of POST-as-GET), or an object."""
        who = {"jwk": key.jwk} if by_key else {"kid": self.kid}
        values = {"alg": key.algorithm, "nonce": self.take_nonce(), "url": url}
        header = {}
        for name in self.habits.header:
            header.update(who if name == "who" else {name: values[name]})
        octets = payload if isinstance(payload, bytes) else self.json(payload)
        return self.json(self.jws(header, octets, key.sign))

    def post(self, url, payload=b"", status=(200, 201), key=None, by_key=False):
        """An answer without a nonce is an error to some, and an order's without its URL to others."""
        by_key = by_key or key is not None
        body = self.signed(url, payload, key or self.key, by_key)
        answer = self.request("POST", url, body, (("Content-Type", self.habits.content_type),))
        if answer.status not in status or "Replay-Nonce" not in answer.fields:
            raise Problem(url, answer)
        return answer

    # The course.

    def register(self, credential, members=None, status=201):
        kid, hmac_key = credential
        url = self.directory["newAccount"]

        def sign(octets):
            return hmac.new(unb64(hmac_key), octets, hashlib.sha256).digest()

        binding = self.jws({"alg": "HS256", "kid": kid, "url": url}, self.json(self.key.jwk), sign)
        payload = {**(members or {}), "externalAccountBinding": binding}
        answer = self.post(url, payload, by_key=True, status=(status,))
        assert answer.json["status"] == "valid", answer
        assert self.kid in (None, answer.location), answer
        self.kid = answer.location
        return answer

    def order(self, *names, **members):
        identifiers = [{"type": "dns", "value": name} for name in names]
        answer = self.post(self.directory["newOrder"], {"identifiers": identifiers, **members},
                           status=(201,))
        assert answer.json["status"] == "ready", answer
        return answer

    def authorizations(self, order):
        found = [self.post(url).json for url in order.json["authorizations"]]
        assert {authorization["status"] for authorization in found} == {"valid"}, found
        return found

    def finalize(self, order, csr):
        """The answer is the order, with its URL (RFC 8555 7.4), done or to be asked for again."""
        answer = self.post(order.json["finalize"], {"csr": b64(csr)}, status=(200,))
        assert answer.location == order.location, answer
        return answer

    def poll(self, order):
        answer = self.post(order.location)
        while answer.json["status"] == "processing":
            assert "Retry-After" in answer.fields, answer
            answer = self.post(order.location)
        assert answer.json["status"] == "valid", answer
        return answer

    def revoke(self, pem, status=(200,), key=None, **members):
        answer = self.post(self.directory["revokeCert"],
                           {"certificate": b64(certificate_der(pem)), **members}, status=status,
                           key=key)
        assert answer.status != 200 or answer.text == "", answer    # acme.sh: else it failed
        return answer


def request_of(key, common_name, names, *extensions, form=_ASN1Type.UTF8String):
    """A CSR's DER; "san" stands for the names among the extensions, which keep their order."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _type=form)]))
    san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    for extension, critical in extensions:
        builder = builder.add_extension(san if extension == "san" else extension, critical)
    return builder.sign(key.key, key.digest).public_bytes(serialization.Encoding.DER)


SAN = ("san", False)


def key_usage(*usages):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{usage: usage in usages for usage in every})


# The replays. Each is given the relay, the credential and a name of its application, and returns chains
# that are revoked at the end.

def acme_sh(world, credential, name):
    """acmesh-official/acme.sh 3.1.4 (d60c75b), acme.sh: _send_signed_request, _regAccount,
    _createcsr, issue, revoke. curl, a connection for each request; JSON by printf with a space
    after each colon, the JWK in the binding too; RSA or (as here, its default) P-256 account; HEAD
    newNonce once, then nonces of the answers; authorizations are fetched and, being valid, left;
    `replaces` at renewal where the directory has renewalInfo; alternates by Link; revocation, with
    a reason always, counts as done when the answer has no body; by the account, then by the
    certificate's key."""
    habits = Habits("acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)",
                    ("nonce", "url", "alg", "who"), spaced=True, keeps=False,
                    fields=(("Accept", "*/*"),), protocols=("h2", "http/1.1"))
    client = Replay(world, habits, Key("ES256"))
    client.register(credential, {"contact": [f"mailto:web@{DOMAIN}"], "termsOfServiceAgreed": True})

    def issue(**members):
        key = Key("ES256")
        order = client.order(name, f"www.{name}", **members)
        client.authorizations(order)
        client.finalize(order, request_of(key, name, [name, f"www.{name}"],
                                          (x509.ExtendedKeyUsage(SERVER_AND_CLIENT), False), SAN))
        chain = client.post(client.poll(order).json["certificate"])
        for url in chain.links("alternate"):
            client.post(url)
        return chain.text, key

    first, _ = issue()
    answer = client.request("GET", f"{client.directory['renewalInfo']}/{renewal_id(first)}")
    assert answer.status in (200, 404), answer      # not every CA has it
    second, key = issue(replaces=renewal_id(first))
    client.revoke(first, reason=0)
    client.revoke(second, reason=0, key=key)
    return client, (first, second)


def cert_manager(world, credential, name):
    """cert-manager/cert-manager pkg/issuer/acme/setup.go (Setup, registerAccount,
    ensureEmailUpToDate; of 2018, 000f7b0, asks for the account before there is one),
    pkg/controller/acmeorders/sync.go (01a107f; createOrder, fetchMetadataForAuthorizations,
    finalizeOrder, getPreferredCertChain) on golang/crypto acme/jws.go (0e11090; jwsEncodeJSON),
    http.go (35f4265; post), acme.go (0466a66; fetchNonce), rfc8555.go (0466a66; getRegRFC,
    registerRFC, updateRegRFC, createOrderCert, WaitOrder, ListCertAlternates, revokeCertRFC). RSA
    account key; registers, with the binding, at each start, so with a credential that is used up,
    then reads the account that is there and brings its contact up to date; agrees to terms only
    where the directory names some; HTTP/2 offered; after finalize it waits at the Location of that
    very answer, asks for the order once more and fetches the certificate a second time for the
    alternates. Go's CSR: names, key usage, extended key usage. A second finalize must be 403."""
    habits = Habits("cert-manager golang.org/x/crypto/acme",
                    ("alg", "who", "nonce", "url"), fields=(("Accept-Encoding", "gzip"),),
                    protocols=("h2", "http/1.1"))
    client = Replay(world, habits, Key("RS256"))
    lookup = {"onlyReturnExisting": True}
    absent = client.post(client.directory["newAccount"], lookup, by_key=True, status=(400,))
    assert absent.problem == "accountDoesNotExist", absent
    contact = [f"mailto:web@{DOMAIN}"]
    client.register(credential, {"contact": contact})
    client.register(credential, {"contact": contact}, status=200)
    found = client.post(client.directory["newAccount"], lookup, by_key=True, status=(200,))
    assert (found.location, found.json["contact"]) == (client.kid, contact), found
    contact = [f"mailto:ops@{DOMAIN}"]
    assert client.post(client.kid, {"contact": contact}).json["contact"] == contact

    def issue():
        key = Key("RS256")
        order = client.order(name)
        client.authorizations(order)
        csr = request_of(key, name, [name], SAN,
                         (key_usage("digital_signature", "key_encipherment"), True),
                         (x509.ExtendedKeyUsage(SERVER_AND_CLIENT[:1]), False),
                         form=_ASN1Type.PrintableString)
        done = client.finalize(order, csr)
        done = client.poll(done) if done.json["status"] != "valid" else done
        chain = client.post(done.json["certificate"])
        assert client.post(order.location).json["status"] == "valid"
        for url in client.post(done.json["certificate"]).links("alternate"):
            client.post(url)
        client.post(order.json["finalize"], {"csr": b64(csr)}, status=(403,))
        return chain.text, key

    (first, _), (second, key) = issue(), issue()
    client.revoke(first, reason=4)
    client.revoke(second, reason=1, key=key)
    return client, (first, second)


def win_acme(world, credential, name):
    """win-acme/win-acme src/main.lib: Clients/Acme/AcmeClientManager.cs (10afcea; SetupAccount,
    EnsureServiceDirectory), Clients/Acme/OrderManager.cs (06ef536; GetOrCreate),
    RenewalValidator.cs (0a8fb5e; AuthorizeOrders, IsValid), Plugins/CsrPlugins/CsrPlugin.cs
    (b956c73; GenerateCsr), on PKISharp/ACMESharpCore src/ACMESharp: Protocol/AcmeProtocolClient.cs
    (01bce45; SendAcmeAsync, ComputeAcmeSigned, DecodeOrderResponseAsync, DecodeResponseErrorAsync),
    Crypto/JOSE/JwsHelper.cs. Base URL plus "directory"; HEAD newNonce may be 200 or 204; every
    answer but the directory's must have a nonce; problems must be application/problem+json without
    parameters; ES256 account; the cached order is asked for before a new one; authorizations
    fetched at once; a challenge of an authorization that is valid is neither needed nor posted.
    Bouncy Castle's CSR: UTF8String, names; RSA 3072."""
    habits = Habits("win-acme/2.2 (+https://github.com/win-acme/win-acme)",
                    ("alg", "url", "nonce", "who"))
    client = Replay(world, habits, Key("ES256"))
    assert client.get(f"{client.origin}/directory").json == client.directory
    assert client.directory["meta"]["externalAccountRequired"] is True, client.directory
    client.register(credential, {"contact": [f"mailto:web@{DOMAIN}"], "termsOfServiceAgreed": True})

    def issue():
        key = Key("RS256", 3072)
        order = client.order(name, f"www.{name}")
        client.authorizations(order)
        done = client.finalize(order, request_of(key, name, [name, f"www.{name}"], SAN))
        done = client.poll(order) if done.json["status"] != "valid" else done
        return client.post(done.json["certificate"]).text, order

    first, cached = issue()
    assert client.poll(cached).json["status"] == "valid"
    second, _ = issue()
    client.revoke(first, reason=0)
    again = client.revoke(first, status=(400,), reason=0)
    assert again.problem == "alreadyRevoked", again
    assert again.fields["Content-Type"] == "application/problem+json", again
    client.revoke(second, reason=0)
    return client, (first, second)


def posh_acme(world, credential, name):
    """rmbolger/Posh-ACME, Posh-ACME.psm1 4.13.1 (047fcdd), Private: New-Jws.ps1 (afaef01),
    Invoke-ACME.ps1 (07726e2), Get-Nonce.ps1 (14a9a7c), New-Csr.ps1 (13367d2), Update-PAAccount.ps1
    (6e5187e), Export-PACertFiles.ps1 (022010b); Public: New-PAAccount.ps1 (05d6db4),
    New-PAOrder.ps1 (6e5187e), Submit-ChallengeValidation.ps1 (0fb5ffb; nothing to do where the
    order is ready), Submit-OrderFinalize.ps1 (afaef01), Revoke-PACertificate.ps1 (025c881). Payload
    before protected in the JWS, header of a hash table in no order that means anything; the account
    is read by an empty update, "{}"; `ec-384` account; the order is polled after finalize whatever
    that said; all alternates are fetched; a nonce that is refused is replaced by the one of the
    refusal; revocation by the account without a reason, or by the certificate's key. PowerShell 5.1
    sends by HttpWebRequest, which waits for 100 Continue. A character set in the content type, as
    .NET's StringContent writes it unless told otherwise. CSR with basic constraints, critical key
    usage, extended key usage, names, subject key identifier."""
    habits = Habits("Posh-ACME/4.13.1 PowerShell/5.1.19041.1 Platform/Windows",
                    ("nonce", "who", "url", "alg"), members=("payload", "protected", "signature"),
                    fields=(("Accept-Language", "en-us,en;q=0.5"),), expects=True,
                    content_type=f"{JOSE}; charset=utf-8")
    client = Replay(world, habits, Key("ES384"))
    client.register(credential, {"termsOfServiceAgreed": True})
    assert client.post(client.kid, b"{}").json["status"] == "valid"

    def issue():
        key = Key("ES256")
        order = client.order(name, f"*.{name}")
        assert client.post(order.location).json["status"] == "ready"
        client.finalize(order, request_of(
            key, name, [name, f"*.{name}"], (x509.BasicConstraints(False, None), False),
            (key_usage("digital_signature", "key_encipherment"), True),
            (x509.ExtendedKeyUsage(SERVER_AND_CLIENT), False), SAN,
            (x509.SubjectKeyIdentifier.from_public_key(key.key.public_key()), False)))
        chain = client.post(client.poll(order).json["certificate"])
        assert chain.fields["Content-Type"] == "application/pem-certificate-chain", chain
        for url in chain.links("alternate"):
            client.post(url)
        return chain.text, key

    first, _ = issue()
    client.nonce = "bm9uZSBvZiBvdXJz"       # kept for too long
    stale = client.post(client.kid, b"{}", status=(400,))
    assert stale.problem == "badNonce", stale
    second, key = issue()
    client.revoke(first)
    client.revoke(second, key=key, reason=1)
    return client, (first, second)


def nginx_acme(world, credential, name):
    """nginx/nginx-acme (c15da83) src/acme.rs (get_nonce, post, new_account, new_certificate,
    make_certificate_request), src/jws.rs (ed0b4b2; sign_jws), src/net/http.rs (0eca433; request). A
    connection for each request, "Connection: close"; GET newNonce, with "Content-Length: 0"; header
    alg, nonce, url, then jwk or kid; each authorization, a valid one too, must list a challenge of
    the type that is configured: http-01 or tls-alpn-01; the order is asked for again and must be
    `ready` before finalize. CSR of names alone with a common name. It registers at each start. It
    does not revoke."""
    habits = Habits("nginx-acme nginx", ("alg", "nonce", "url", "who"), nonce="GET", keeps=False,
                    fields=(("Connection", "close"),))
    client = Replay(world, habits, Key("ES256"))
    client.register(credential, {"contact": [f"mailto:web@{DOMAIN}"]})
    client.register(credential, {"contact": [f"mailto:web@{DOMAIN}"]}, status=200)

    def issue(challenge):
        key = Key("ES256")
        order = client.order(name)
        for authorization in client.authorizations(order):
            types = [found["type"] for found in authorization["challenges"]]
            assert challenge in types, f"nginx's NoSupportedChallenges: {challenge} in {types}"
        assert client.post(order.location).json["status"] == "ready"
        client.finalize(order, request_of(key, name, [name], SAN))
        return client.post(client.poll(order).json["certificate"]).text

    return client, (issue("http-01"), issue("tls-alpn-01"))


REPLAYS = {"acme-sh": acme_sh, "cert-manager": cert_manager, "win-acme": win_acme,
           "posh-acme": posh_acme, "nginx-acme": nginx_acme}


class Replays(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = RelayWorld(relay=HOOKS, pebble={"alternate_roots": 1})
        cls.enterClassContext(cls.world)
        for name in REPLAYS:
            cls.world.application(name, exact=[f"{name}.{DOMAIN}", f"www.{name}.{DOMAIN}"],
                                  wildcards_of=[f"{name}.{DOMAIN}"], operations=["order", "revoke"],
                                  relay={})
        cls.world.start()

    def check(self, chain, name):
        """The public key of the certificate, which is for that name and of the issuer that follows."""
        end = "-----END CERTIFICATE-----\n"
        certificate, issuer = (x509.load_pem_x509_certificate(f"{part}{end}".encode())
                               for part in chain.split(end) if part.strip())
        by, how = issuer.public_key(), certificate.signature_hash_algorithm
        how = (padding.PKCS1v15(), how) if isinstance(by, rsa.RSAPublicKey) else (ec.ECDSA(how),)
        by.verify(certificate.signature, certificate.tbs_certificate_bytes, *how)
        self.assertEqual(certificate.issuer, issuer.subject)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertIn(name, names.get_values_for_type(x509.DNSName))
        return certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def test_replays(self):
        """In turn: the relay is to be tried, not the machine."""
        for name, replay in REPLAYS.items():
            with self.subTest(name):
                credential = self.world.app_eab(name, "--once")
                client, chains = replay(self.world, credential, f"{name}.{DOMAIN}")
                client.close()
                keys = {self.check(chain, f"{name}.{DOMAIN}") for chain in chains}
                self.assertEqual(len(keys), 2)      # renewed, with a new key
                found = [json.loads(line) for line in self.world.admin(
                    "--json", "certificates", "--application", name).out.splitlines()]
                self.assertEqual(len(found), 2, found)
                if replay is not nginx_acme:
                    for chain in chains:
                        answer = client.revoke(chain, status=(400,))
                        self.assertEqual(answer.problem, "alreadyRevoked")
                client.close()


if __name__ == "__main__":
    unittest.main()
