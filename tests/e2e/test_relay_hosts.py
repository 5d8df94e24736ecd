#!/usr/bin/python3
"""A relay as it is set up: on another host than the signer, by ssh; with a certificate of its own
that it got through itself; with conditions on networks and TLS client certificates."""

import datetime
import os
import signal
import socket
import ssl
import threading
import unittest
import unittest.mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acme_client import AcmeClient, certificate_request
from faulty_proxy import FaultyProxy
from relay_world import RelayWorld
from sshd import Sshd, client_configuration, make_key, why_not
from test_ssh import FORCED
from world import CLIENT, wait_until

LOGIN = "games"             # a login account of any Debian
HOST = "relay.dept.example.edu"
APP = "app.dept.example.edu"
NEAR, FAR = ["127.0.0.0/8"], ["192.0.2.0/24"]
HOOKS = {"dns": {"auth_hook": "true", "cleanup_hook": "true"}}
NO_SSHD = why_not()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


class Authority:
    """A private CA: of the relay's first certificate, and of clients' ones."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.pem = self.sign(self.name, self.key.public_key(), True)[0]

    def sign(self, subject, public, ca, names=()):
        now = datetime.datetime.utcnow()
        builder = x509.CertificateBuilder(
            self.name, subject, public, x509.random_serial_number(),
            now - datetime.timedelta(hours=1), now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        # RFC 5280 4.2.1.1 to 4.2.1.3; Python 3.13 trusts none without.
        issuer = self.key.public_key()
        for extension in (x509.SubjectKeyIdentifier.from_public_key(public),
                          x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)):
            builder = builder.add_extension(extension, critical=False)
        uses = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment",
                              "key_agreement", "crl_sign", "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **uses), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        made = builder.sign(self.key, hashes.SHA256())
        return (made.public_bytes(serialization.Encoding.PEM).decode(),
                made.fingerprint(hashes.SHA256()).hex())

    def issue(self, name, *names):
        """Certificate, key, and the certificate's digest as a policy has it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        pem, digest = self.sign(subject, key.public_key(), False, names)
        return pem, key_pem(key), digest


def resolve(host, *rest, original=socket.getaddrinfo, **more):
    return original("127.0.0.1" if host == HOST else host, *rest, **more)


class Hosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(unittest.mock.patch.object(socket, "getaddrinfo", resolve))
        cls.world = world = cls.enterClassContext(RelayWorld(relay=HOOKS))
        cls.proxy = cls.enterClassContext(FaultyProxy(world.ca, world.path("ca")))
        world.ca_directory = cls.proxy.directory
        cls.make_here()
        if NO_SSHD is None:
            cls.make_there()
        world.application("app", exact=[APP], relay={})
        world.application("relay", user=LOGIN, exact=[HOST], relay={})
        world.application("near", exact=["near.dept.example.edu"], relay={"networks": NEAR})
        world.application("card", exact=["card.dept.example.edu"],
                          relay={"client_certificates": [cls.cards["good"][2]]})
        world.start_signing()
        if NO_SSHD is None:
            cls.start_sshd()
        for relay in world.relays:
            relay.start()

    @classmethod
    def make_here(cls):
        """A relay with a name of its own, and a certificate of a private CA to begin with."""
        cls.here = cls.world.add_relay("here", host=HOST)
        cls.authority = Authority("the department")
        cls.cards = {"good": cls.authority.issue("a client"),
                     "another": cls.authority.issue("another client"),
                     "foreign": Authority("nobody").issue("a client")}
        for card, (pem, key, _) in cls.cards.items():
            cls.put(cls.world.path(f"{card}.pem"), pem + key)
        cls.put(cls.here.ca_file, cls.authority.pem)
        cls.trusted = cls.here.ca_file      # by clients
        cls.deploy(*cls.authority.issue(HOST, HOST)[:2])
        cls.here.settings["tls"] = {"certificate": cls.tls("server.pem"),
                                    "key": cls.tls("server.key"), "client_ca": cls.here.ca_file}

    @classmethod
    def tls(cls, name):
        return os.path.join(cls.here.tls, name)

    @staticmethod
    def put(path, text):
        """In place of what was there, as deploy hooks do."""
        with open(path + ".new", "w", encoding="ascii",
                  opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(text)
        os.rename(path + ".new", path)

    @classmethod
    def deploy(cls, chain, key):
        cls.put(cls.tls("server.pem"), chain)
        cls.put(cls.tls("server.key"), key)

    # Another host.

    @classmethod
    def make_there(cls):
        cls.there = cls.world.add_relay("there", login=LOGIN)
        cls.public = make_key(os.path.join(cls.there.folder, "id"))

    @classmethod
    def start_sshd(cls):
        world, there = cls.world, cls.there
        remote = world.path("etc", "remote.yaml")
        with open(remote, "w", encoding="ascii") as file:
            file.write(f"signer: {world.socket}\nsigner_user: {world.user}\n")
        line = world.admin("app", "connect-line", "relay", cls.public).out.rstrip("\n")
        installed = line[line.index("command=\"") + len("command=\""):line.index(FORCED)]
        line = line.replace(f"{installed}/acmeward connect", f"{CLIENT} connect --config {remote}")
        cls.sshd = cls.enterClassContext(Sshd(world.path("sshd"), {LOGIN: [line]}, "MaxStartups 5\n"))
        there.settings["signer"] = f"ssh://{LOGIN}@127.0.0.1:{cls.sshd.port}"
        there.settings["ssh_config"] = client_configuration(
            os.path.join(there.folder, "ssh_config"), cls.sshd.known_hosts,
            os.path.join(there.folder, "id"))

    def setUp(self):
        self.proxy.heal()

    def client(self, application, relay=None, card=None):
        relay = relay or self.here
        ca_file = self.trusted if relay is self.here else relay.ca_file
        client = self.come_again(AcmeClient(relay.directory, ca_file), ca_file, card)
        client.register(*self.world.app_eab(application))
        return client

    def come_again(self, client, ca_file, card=None):
        """The next connection is a new one, and shows that certificate or none."""
        client.context = ssl.create_default_context(cafile=ca_file)
        if card is not None:
            client.context.load_cert_chain(self.world.path(f"{card}.pem"))
        client.close()
        self.addCleanup(client.close)
        return client

    def issues(self, client, *names):
        self.assertEqual(client.issue(*names)[2].json["status"], "valid")

    def logins(self):
        return self.sshd.log().count("Accepted publickey")

    def cut_once(self):
        self.proxy.heal()
        self.sshd.cut()
        return True

    @unittest.skipIf(NO_SSHD, NO_SSHD)
    def test_1_a_relay_on_another_host(self):
        """The signer takes it for the account that it logs in to; what it keeps outlives the way."""
        client = self.client("app", self.there)
        self.issues(client, APP)
        users = {record["user"] for record in self.world.records("--application", "app")
                 if record["kind"] == "decision"}
        self.assertEqual(users, {LOGIN})
        for step in ("new-order", "finalize"):
            with self.subTest(f"cut at {step}"):
                before, accepted = self.logins(), self.proxy.accepted["new-order"]
                self.proxy.fault(step, self.cut_once)
                self.issues(client, APP)
                self.assertGreater(self.logins(), before)
                self.assertEqual(self.proxy.accepted["new-order"], accepted + 1)

    @unittest.skipIf(NO_SSHD, NO_SSHD)
    def test_2_the_signers_host_goes_away(self):
        """It is never a refusal; the order that was begun is there when the host is back."""
        client = self.client("app", self.there)
        order = client.order(APP)
        self.sshd.stop()
        answer = client.order(APP, status=None)
        self.assertEqual((answer.status, answer.problem), (503, "serverInternal"), answer)
        self.assertGreater(int(answer.fields["Retry-After"]), 0)
        self.assertIn("Connection refused", self.there.log())
        self.sshd.start()
        _, csr = certificate_request(APP)
        self.assertEqual(client.finalize(order, csr).json["status"], "valid")

    @unittest.skipIf(NO_SSHD, NO_SSHD)
    def test_3_many_log_in_at_once(self):
        """sshd turns logins away above MaxStartups, which is 10 where nobody changes it."""
        first = self.client("app", self.there)
        clients = [AcmeClient(self.there.directory, self.there.ca_file, key=first.key)
                   for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
            client.kid = first.kid
        self.sshd.cut()
        answers = []
        threads = [threading.Thread(target=lambda c=client: answers.append(
            c.register(onlyReturnExisting=True, status=None))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer.status for answer in answers], [200] * 8, self.there.log()[-3000:])

    # The relay's own certificate.

    def served(self, ca_file):
        """The serial number of the certificate that a new connection is shown; None: not verified."""
        context = ssl.create_default_context(cafile=ca_file)
        try:
            with socket.create_connection((HOST, self.here.port), 10) as plain, \
                    context.wrap_socket(plain, server_hostname=HOST) as connection:
                return int(connection.getpeercert()["serialNumber"], 16)
        except ssl.SSLCertVerificationError:
            return None

    def test_4_its_certificate_comes_through_itself(self):
        """Got, and renewed, with an order of another client's open on a connection that is kept."""
        root = self.world.ca.issuing_root
        other = self.client("app")
        order, kept = other.order(APP), other.connection.sock
        owner = self.client("relay")
        for name in ("first", "renewed"):
            with self.subTest(name):
                chain, key, _ = owner.issue(HOST)
                self.deploy(chain.text, key_pem(key.key))
                self.here.process.send_signal(signal.SIGHUP)
                serial = x509.load_pem_x509_certificate(chain.text.encode()).serial_number
                wait_until("the certificate", lambda: self.served(root) == serial)
                self.assertIsNone(self.served(self.here.ca_file))
                self.come_again(owner, root)
                self.assertEqual(other.post(order.location).json["status"], "ready")
                self.assertIs(other.connection.sock, kept)
        _, csr = certificate_request(APP)
        self.assertEqual(other.finalize(order, csr).json["status"], "valid")
        self.assertIs(other.connection.sock, kept)
        type(self).trusted = root

    # Conditions.

    def refused(self, answer, application, rule):
        self.assertEqual((answer.status, answer.problem), (403, "unauthorized"), answer)
        self.assertIn(f"({rule})", answer.json["detail"])
        last = self.world.records("--application", application)[-1]
        self.assertEqual((last["verdict"], last["rule"]), ("refuse", rule), last)

    def test_5_networks(self):
        name = "near.dept.example.edu"
        client = self.client("near")
        self.issues(client, name)
        order = client.order(name)
        self.world.application("near", exact=[name], relay={"networks": FAR})
        self.world.admin("reload")
        _, csr = certificate_request(name)
        rule = "relay.networks"
        self.refused(client.order(name, status=None), "near", rule)
        self.refused(client.finalize(order, csr, status=None), "near", rule)
        newcomer = AcmeClient(self.here.directory, self.trusted)
        self.addCleanup(newcomer.close)
        self.refused(newcomer.register(*self.world.app_eab("near"), status=None), "near", rule)
        self.world.application("near", exact=[name], relay={"networks": [*FAR, *NEAR]})
        self.world.admin("reload")
        self.assertEqual(client.finalize(order, csr).json["status"], "valid")

    def test_6_client_certificates(self):
        name, rule = "card.dept.example.edu", "relay.client_certificates"
        client = self.client("card", card="good")
        self.issues(client, name)
        order = client.order(name)
        _, csr = certificate_request(name)
        for card in (None, "another"):
            with self.subTest(card or "none"):
                self.come_again(client, self.trusted, card)
                self.refused(client.order(name, status=None), "card", rule)
                self.refused(client.finalize(order, csr, status=None), "card", rule)
        self.come_again(client, self.trusted, "foreign")
        with self.assertRaises(OSError):    # of a CA that the relay does not know: no connection
            client.order(name)
        self.come_again(client, self.trusted, "good")
        self.assertEqual(client.finalize(order, csr).json["status"], "valid")


if __name__ == "__main__":
    unittest.main()
