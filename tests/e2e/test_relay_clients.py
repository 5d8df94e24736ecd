#!/usr/bin/python3
"""Unmodified ACME clients through acmeward-relay: real certbot, lego, uacme, dehydrated, Caddy, Apache
mod_md and our own client issue, renew and, where they can, revoke; signer, SoftHSM and Pebble are
real as well. The lines of configuration are those of docs/relay.md."""

import os
import shutil
import signal
import subprocess
import types
import unittest

from relay_world import RelayWorld
from sshd import NAMESPACE
from world import PROJECT, World, environment, free_ports, run, wait_until

CLIENTS = ("certbot", "once", "lego", "uacme", "dehydrated", "caddy", "apache", "acmeward")
UNPACKED = os.path.join(PROJECT, "build", "servers", "usr")
MODULES = "/usr/lib/apache2/modules"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def name_of(client):
    return f"{client}.dept.example.edu"


def program(name):
    return shutil.which(name, path=f"/usr/bin:/usr/sbin:{UNPACKED}/bin")


def needs(name):
    return unittest.skipUnless(program(name), f"no {name}: sh packaging/install-packages.sh test")


class ThroughRelay(World):
    """A department that runs a signer of its own, whose CA is the relay."""

    def __init__(self, relay, kid, key):
        super().__init__(ceiling=(name_of("acmeward"),))
        self.relay, self.kid, self.hmac_key = relay, kid, key

    def start_ca(self):
        key_file = self.path("eab.key")
        with open(key_file, "w", encoding="ascii", opener=lambda path, flags: os.open(
                path, flags, 0o600)) as file:
            file.write(self.hmac_key)
        self.ca = types.SimpleNamespace(
            directory=self.relay.directory, ca_file=self.relay.ca_file, kid=self.kid,
            key_file=key_file, stop=lambda: None)
        self.http_port = free_ports(1)[0]   # nobody asks there: the relay validates


class Clients(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = RelayWorld(relay={"dns": {"auth_hook": "true", "cleanup_hook": "true"}})
        cls.enterClassContext(cls.world)
        for client in CLIENTS:
            cls.world.application(client, exact=[name_of(client)], operations=["order", "revoke"],
                                  relay={})
        cls.world.start()
        cls.directory = cls.world.relay.directory
        cls.home = cls.world.path("clients")
        os.mkdir(cls.home)
        # Apache's children, of another user, read it too.
        cls.ca_file = shutil.copy(cls.world.relay.ca_file, os.path.join(cls.home, "ca.pem"))
        os.chmod(cls.ca_file, 0o644)
        cls.environment = environment(HOME=cls.home, REQUESTS_CA_BUNDLE=cls.ca_file,
                                      LEGO_CA_CERTIFICATES=cls.ca_file)

    def path(self, *names):
        return os.path.join(self.home, *names)

    def write(self, name, text, mode=0o600):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def call(self, *words, **options):
        return run(words, env=self.environment, seconds=120, **options)

    def serial(self, path, client):
        """The serial number of a certificate whose chain and name are verified."""
        run(["openssl", "verify", "-CAfile", self.world.ca.issuing_root, "-untrusted", path,
             "-verify_hostname", name_of(client), path])
        done = run(["openssl", "x509", "-noout", "-serial", "-in", path])
        return done.out.strip().removeprefix("serial=").lower()

    def inventory(self, client):
        """Serial numbers of what the signer knows to be issued for an application, oldest first."""
        return [record["serial"] for record in self.world.records(
            "--application", client) if record["kind"] == "certificate"]

    def revoked(self, client):
        return [record for record in self.world.records("--application", client)
                if record.get("operation") == "revoke" and record["verdict"] == "permit"]

    def issued(self, client, path, count):
        """What is at `path` is the last of `count` certificates that were issued."""
        serial = self.serial(path, client)
        known = self.inventory(client)
        self.assertEqual((len(known), known[-1]), (count, serial))

    # certbot, by the command that universities document.

    def certbot(self, folder, *words, **options):
        folders = [word for kind in ("config", "work", "logs")
                   for word in (f"--{kind}-dir", self.path(folder, kind))]
        return self.call("/usr/bin/certbot", *words, *folders, **options)

    def test_certbot(self):
        kid, key = self.world.app_eab("certbot")
        name, live = name_of("certbot"), self.path("certbot", "config", "live", "short", "fullchain.pem")
        # certbot takes its options from a file, too, so that nobody reads the key in a list of
        # processes.
        options = self.write("certbot/eab.ini", f"eab-kid = {kid}\neab-hmac-key = {key}\n")
        port = str(free_ports(1)[0])
        self.certbot("certbot", "certonly", "--config", options, "--standalone",
                     "--http-01-port", port, "--non-interactive", "--agree-tos", "--email",
                     "e@dept.example.edu", "--server", self.directory, "--domain", name,
                     "--cert-name", "short")
        self.issued("certbot", live, 1)
        self.certbot("certbot", "renew", "--force-renewal", "--non-interactive",
                     "--no-random-sleep-on-renew")
        self.issued("certbot", live, 2)
        refused = self.certbot("certbot", "certonly", "--standalone", "--http-01-port", port,
                               "--non-interactive", "--server", self.directory, "--domain",
                               name_of("lego"), status=1)
        self.assertIn(name_of("lego"), refused.text)
        self.certbot("certbot", "revoke", "--non-interactive", "--server", self.directory,
                     "--cert-name", "short", "--no-delete-after-revoke")
        self.assertEqual(len(self.revoked("certbot")), 1)
        self.certbot("certbot", "unregister", "--non-interactive", "--server", self.directory)

    def test_documented_command(self):
        """Word for word but for the server and the pair, which is used up by that."""
        kid, key = self.world.app_eab("once", "--once")
        command = ["certonly", "--standalone", "--non-interactive", "--agree-tos", "--email",
                   "e@dept.example.edu", "--server", self.directory, "--eab-kid", kid,
                   "--eab-hmac-key", key, "--domain", name_of("once"), "--cert-name", "short"]
        self.certbot("once", *command)
        self.issued("once", self.path("once", "config", "live", "short", "fullchain.pem"), 1)
        again = self.certbot("again", *command, status=1)
        self.assertIn("was for one account", " ".join(again.text.split()))
        self.assertEqual(len(self.inventory("once")), 1)

    def test_lego(self):
        kid, key = self.world.app_eab("lego")
        name = name_of("lego")
        cert = self.path("lego", "certificates", f"{name}.crt")
        common = ("/usr/bin/lego", "--server", self.directory, "--path", self.path("lego"),
                  "--email", "e@dept.example.edu", "--accept-tos", "--domains", name, "--http",
                  "--http.port", f"127.0.0.1:{free_ports(1)[0]}")
        binding = ("--eab", "--kid", kid, "--hmac", key)
        self.call(*common, *binding, "run")
        self.issued("lego", cert, 1)
        self.call(*common, *binding, "renew", "--days", "10000", "--no-random-sleep")
        self.issued("lego", cert, 2)
        self.call(*common, *binding, "revoke", "--reason", "4")
        self.assertEqual(len(self.revoked("lego")), 1)

    def test_uacme(self):
        """It believes the system's roots alone: those are ours for it."""
        kid, key = self.world.app_eab("uacme")
        inside = [*NAMESPACE, "sh", "-c",
                  'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", self.ca_file, BUNDLE]
        if run([*inside, "true"], status=None).status != 0:
            self.skipTest("needs a mount namespace, which this container is not allowed")
        name, folder = name_of("uacme"), self.path("uacme")
        cert = os.path.join(folder, name, "cert.pem")
        uacme = (*inside, "/usr/bin/uacme", "-v", "-y", "-a", self.directory, "-c", folder)
        # Its keys begin with any letter, and -e takes what follows the first colon.
        self.call(*uacme, "-e", f"{kid}:{key}", "new", "e@dept.example.edu")
        self.call(*uacme, "-t", "EC", "issue", name)
        self.issued("uacme", cert, 1)
        self.call(*uacme, "-t", "EC", "-f", "-o", "issue", name)
        self.issued("uacme", cert, 2)
        self.call(*uacme, "newkey")
        self.call(*uacme, "revoke", cert)
        self.assertEqual(len(self.revoked("uacme")), 1)
        self.call(*uacme, "deactivate")

    @needs("dehydrated")
    def test_dehydrated(self):
        kid, key = self.world.app_eab("dehydrated")
        name, folder = name_of("dehydrated"), self.path("dehydrated")
        os.makedirs(os.path.join(folder, "wellknown"))
        config = self.write("dehydrated/config", f"""CA="{self.directory}"
EAB_KID="{kid}"
EAB_HMAC_KEY="{key}"
BASEDIR="{folder}"
WELLKNOWN="{folder}/wellknown"
CURL_OPTS="--cacert {self.ca_file}"
""")
        command = ("/usr/bin/dehydrated", "--config", config)
        cert = os.path.join(folder, "certs", name, "cert.pem")
        chain = os.path.join(folder, "certs", name, "fullchain.pem")
        self.call(*command, "--register", "--accept-terms")
        self.call(*command, "--cron", "--domain", name)
        self.issued("dehydrated", chain, 1)
        self.call(*command, "--cron", "--force", "--domain", name)
        self.issued("dehydrated", chain, 2)
        self.call(*command, "--revoke", cert)
        self.assertEqual(len(self.revoked("dehydrated")), 1)

    # Servers.

    def serve(self, log, *command, stop=signal.SIGTERM):
        with open(log, "ab") as file:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                       env=self.environment)

        def end():
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.addCleanup(end)
        return end

    def served(self, port, client):
        """The serial number of what is served there, its chain and name verified; None: nothing."""
        done = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername",
                    name_of(client), "-verify_return_error", "-verify_hostname", name_of(client),
                    "-CAfile", self.world.ca.issuing_root], stdin="Q\n", status=None)
        # It says "0 (ok)" of a handshake without a certificate, too.
        if "Verify return code: 0 (ok)" not in done.out or "BEGIN CERTIFICATE" not in done.out:
            return None
        serial = run(["openssl", "x509", "-noout", "-serial"], stdin=done.out).out.strip()
        return serial.removeprefix("serial=").lower()

    def wait_served(self, port, client, log, other=None):
        try:
            wait_until(f"the certificate of {client}",
                       lambda: self.served(port, client) not in (None, other), seconds=60, pause=0.2)
        except AssertionError as e:
            with open(log, encoding="utf-8", errors="replace") as file:
                raise AssertionError(
                    f"{e}\n{file.read()[-6000:]}\n{self.world.relay.log()[-2000:]}") from None
        serial = self.served(port, client)
        self.assertIn(serial, self.inventory(client))
        return serial

    @needs("caddy")
    def test_caddy(self):
        kid, key = self.world.app_eab("caddy")
        name, folder, log = name_of("caddy"), self.path("caddy"), self.path("caddy.log")
        port, http_port = free_ports(2)
        config = self.write("caddy/Caddyfile", f"""{{
  acme_ca {self.directory}
  acme_ca_root {self.ca_file}
  acme_eab {{
    key_id {kid}
    mac_key {key}
  }}
  email e@dept.example.edu
  admin off
  http_port {http_port}
  https_port {port}
  storage file_system {folder}/data
}}
{name} {{
  bind 127.0.0.1
  respond 204
}}
""")
        command = (program("caddy"), "run", "--config", config, "--adapter", "caddyfile")
        end = self.serve(log, *command)
        first = self.wait_served(port, "caddy", log)
        # Caddy renews on its own: here, since it finds no certificate any more.
        end()
        shutil.rmtree(os.path.join(folder, "data", "certificates"))
        self.serve(log, *command)
        self.wait_served(port, "caddy", log, other=first)
        self.assertEqual(len(self.inventory("caddy")), 2)

    @unittest.skipUnless(os.path.exists(f"{MODULES}/mod_md.so"), "no Apache here")
    def test_apache_mod_md(self):
        kid, key = self.world.app_eab("apache")
        name, log = name_of("apache"), self.path("apache", "apache.log")
        port, http_port = free_ports(2)
        store = self.path("apache", "md")
        loads = "\n".join(f"LoadModule {module}_module {MODULES}/mod_{module}.so" for module in (
            "mpm_event", "authz_core", "ssl", "socache_shmcb", "md"))
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        config = self.write("apache/apache.conf", f"""
ServerRoot {self.path("apache")}
PidFile {self.path("apache", "apache.pid")}
ErrorLog {log}
DefaultRuntimeDir {self.path("apache")}
Mutex sem
LogLevel md:debug
{loads}
{user}
ServerName {name}
Listen 127.0.0.1:{port} https
Listen 127.0.0.1:{http_port} http
MDCertificateAuthority {self.directory}
MDExternalAccountBinding {kid} {key}
MDCertificateAgreement accepted
MDContactEmail e@dept.example.edu
MDCACertificateFile {self.ca_file}
MDStoreDir {store}
MDPortMap http:{http_port} https:{port}
MDBaseServer on
MDomain {name}
SSLEngine on
""")
        command = (program("apache2"), "-DFOREGROUND", "-f", config)
        staged = os.path.join(store, "staging", name, "pubcert.pem")
        chain = os.path.join(store, "domains", name, "pubcert.pem")
        first = None
        for count in (1, 2):
            end = self.serve(log, *command)
            wait_until("mod_md's certificate", lambda: os.path.exists(staged), seconds=60, pause=0.2)
            end()   # what is staged is taken at the next start
            self.serve(log, *command)
            serial = self.wait_served(port, "apache", log, other=first)
            self.assertEqual(self.serial(chain, "apache"), serial)
            # Once all is due at once, it may have the next one already.
            self.assertGreaterEqual(len(self.inventory("apache")), count)
            first = serial
            self.doCleanups()
            # Due at once from now on, however long it is still good.
            with open(config, "a", encoding="ascii") as file:
                file.write("MDRenewWindow 36500d\n" if count == 1 else "")

    # Our own client, of a department with a signer of its own.

    def test_acmeward(self):
        kid, key = self.world.app_eab("acmeward")
        name = name_of("acmeward")
        with ThroughRelay(self.world.relay, kid, key) as world:
            world.application("acmeward", exact=[name], operations=["order", "revoke"])
            world.start()
            live = world.path("client", "live", name, "fullchain.pem")
            world.certonly(name)
            self.issued("acmeward", live, 1)
            world.client("renew", "--force-renewal", "--no-random-sleep-on-renew")
            self.issued("acmeward", live, 2)
            world.client("revoke", "--cert-name", name, "--non-interactive",
                         "--no-delete-after-revoke")
            self.assertEqual(len(self.revoked("acmeward")), 1)


if __name__ == "__main__":
    unittest.main()
