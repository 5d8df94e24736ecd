#!/usr/bin/python3
"""Pebble, the ACME test CA of Debian, on loopback, requiring External Account Binding.

As a module:

    with Pebble(reuse=100) as ca:
        ca.directory, ca.ca_file, ca.kid, ca.key_file, ca.http_port, ...

As a command:

    pebble.py start --state FOLDER [--nonce-reject 5] [--always-valid] ...
    pebble.py stop --state FOLDER

`start` returns when the directory can be fetched; FOLDER/pebble.json then says where everything
is. The HMAC key is in FOLDER/eab.key and FOLDER/config.json, both 0600, and nowhere else.

What Pebble 2.4 (Debian 12) does, from its source; test_pebble.py shows most of it:

- EAB. The kid must be configured, alg HS256, HS384 or HS512 (any of them with any key), no nonce,
  url equal to the outer one, payload the outer key; 2.6 (Debian 13) refuses keys that are shorter
  than the digest, as RFC 7518 3.2 says. Keys are unpadded base64url in the
  configuration; padding stops it at start. A kid may bind any number of accounts. A key that has an
  account already gets that account (200) and its binding is not looked at; terms of service come
  before the binding, so a request without both is told of the terms.
- Authorizations belong to the account, not the order. PEBBLE_AUTHZREUSE is the percentage of
  identifiers for which a new order takes a valid one (default 50). 100 means always: an order is
  then born `ready`, which is what a CA with validated domains does. 0 still means 1 %: the test is
  `rand(100) > percentage`. So with 100 the first order for a name is pending, later ones are ready.
  There is no pre-authorization (newAuthz).
- PEBBLE_VA_ALWAYS_VALID makes every challenge succeed that is answered; nobody looks at the
  web server. It does not make an order ready by itself: the challenge must be POSTed once.
- PEBBLE_WFE_NONCEREJECT is rolled for every POST (default 5). A rejected nonce is used up. 100 and
  more reject each request (above 100 it means 99).
- 2.6 has renewal information (RFC 9773): a window of two days about two thirds of a certificate's
  life, at once for one that was revoked, Retry-After of six hours; `replaces` must name a
  certificate of the account that has not been replaced, else 409, `malformed`. 2.4 has none.
- A finalize answers `processing`; poll. It sends no Retry-After. Issuance takes milliseconds.
- It keeps no state: a restart forgets accounts, and the issuing root is another one.
- Wildcards get dns-01 only. http-01 goes to http_port whatever the name; the first address of the
  resolver is taken, AAAA before A, so the resolver here answers no AAAA.
- URLs follow the Host header: reach it by the name that was pinned.
- It binds a port without SO_REUSEPORT and ends with status 1 when it is taken.
"""

import argparse
import base64
import json
import os
import random
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

PEBBLE = "/usr/bin/pebble"
CHALLTESTSRV = "/usr/bin/pebble-challtestsrv"
START_SECONDS = 60      # until one attempt counts as failed; it makes RSA keys first
STOP_SECONDS = 5        # from SIGTERM to SIGKILL
ATTEMPTS = 10           # with new ports each
# Below Linux's ephemeral range (32768 up): no outgoing connection takes a port between our look
# and Pebble's bind.
PORTS = range(10240, 32768)
STATE_FILES = ("config.json", "openssl.cnf", "ca.pem", "ca.key", "server.pem", "server.key",
               "issuing-root.pem", "eab.key", "pebble.log", "dns.log", "pebble.json")

OPENSSL_CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1
"""


class PebbleError(Exception):
    """The CA could not be started; the message holds the end of its log."""


def free_ports(count):
    """Different ports that nothing holds at this moment, on TCP and UDP."""
    found = []
    generator = random.SystemRandom()
    while len(found) < count:
        port = generator.choice(PORTS)
        if port not in found and _bindable(port):
            found.append(port)
    return found


def _bindable(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def new_eab_key(octets=32):
    """A random HMAC key as CAs hand it out: base64url without padding."""
    return base64.urlsafe_b64encode(secrets.token_bytes(octets)).rstrip(b"=").decode()


def _write_private(path, text):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True,
                          check=False, umask=0o077)
    if done.returncode != 0:
        raise PebbleError(f"openssl {arguments[0]} failed: {done.stderr}")


def make_tls(folder):
    """A TLS CA (ca.pem) of this folder alone and a certificate for localhost; the CA's key goes."""
    path = os.path.join(folder, "openssl.cnf")
    with open(path, "w", encoding="ascii") as file:
        file.write(OPENSSL_CONFIG)
    common = ["req", "-x509", "-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    # A name of its own for each: two CAs of one name confuse chain building.
    _openssl(folder, *common, "-extensions", "ca",
             "-subj", f"/CN=Loopback CA {secrets.token_hex(4)}", "-keyout", "ca.key",
             "-out", "ca.pem")
    _openssl(folder, *common, "-extensions", "server", "-subj", "/CN=localhost", "-CA", "ca.pem",
             "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem")
    os.unlink(os.path.join(folder, "ca.key"))
    os.unlink(path)


def _identity(pid, folder):
    """True when `pid` is a process of ours: started by us in that folder, and not gone."""
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        return (program in ("pebble", "pebble-challtestsrv")
                and os.path.realpath(folder) == os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return False


def stop_processes(pids, folder):
    """Ends processes by number, after a look at what they are."""
    pids = [pid for pid in pids if _identity(pid, folder)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + STOP_SECONDS
        while pids and time.monotonic() < deadline:
            pids = [pid for pid in pids if _identity(pid, folder)]
            time.sleep(0.01)
    if pids:
        raise PebbleError(f"processes {pids} did not end")


def remove_state(folder):
    """Removes what start made and nothing else; the folder too when it is empty then."""
    for name in STATE_FILES:
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass
    try:
        os.rmdir(folder)
    except OSError:
        pass


class Pebble:
    """One CA. Start it with `with` (ends with the block, or with this process at the latest)."""

    def __init__(self, state=None, kid="kid-1", eab_keys=None, require_eab=True, eab_octets=32,
                 nonce_reject=0, always_valid=False, reuse=100, chain_length=1, lifetime=0,
                 http_port=None, host="localhost", retain=False, alternate_roots=0,
                 resolver=None):
        self.state = state          # folder; None: a temporary one
        # {kid: base64url key}, the first is `kid`; None: one new random key.
        self.eab_keys = eab_keys or {kid: new_eab_key(eab_octets)}
        self.kid = next(iter(self.eab_keys))
        self.require_eab = require_eab
        self.nonce_reject = nonce_reject
        self.always_valid = always_valid
        self.reuse = reuse
        self.chain_length = chain_length
        self.alternate_roots = alternate_roots  # further chains, by Link "alternate" (RFC 8555 7.4.2)
        self.lifetime = lifetime    # of certificates, in seconds; 0: Pebble's own (5 years)
        self.http_port = http_port  # where http-01 asks; None: a free one
        self.host = host
        self.resolver = resolver    # "address:port" that validation asks; None: a DNS of our own
        self.retain = retain        # survive this process (the command line's way)
        self.processes = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    # What tests ask for.

    @property
    def origin(self):
        return f"https://{self.host}:{self.port}"

    @property
    def directory(self):
        return self.origin + "/dir"

    @property
    def management(self):
        return f"https://{self.host}:{self.management_port}"

    @property
    def ca_file(self):
        """Trust this for the TLS connection to the CA."""
        return os.path.join(self.state, "ca.pem")

    @property
    def issuing_root(self):
        """Issued certificates chain up to this; another one at every start."""
        return os.path.join(self.state, "issuing-root.pem")

    @property
    def key_file(self):
        return os.path.join(self.state, "eab.key")

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def get(self, url):
        """Fetches a URL of this CA; TLS is verified with its own CA file."""
        context = ssl.create_default_context(cafile=self.ca_file)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(url, timeout=5) as reply:
            return reply.read()

    def log(self):
        """What Pebble printed so far."""
        with open(os.path.join(self.state, "pebble.log"), encoding="utf-8") as file:
            return file.read()

    def describe(self):
        """pebble.json: everything a script needs, no secret."""
        return {"directory": self.directory, "ca_file": self.ca_file, "kid": self.kid,
                "key_file": self.key_file, "management": self.management,
                "issuing_root": self.issuing_root, "http_port": self.http_port,
                "tls_port": self.tls_port, "dns": f"127.0.0.1:{self.dns_port}",
                "dns_management": f"http://127.0.0.1:{self.dns_management_port}",
                "pids": self.pids}

    # Start and stop.

    def start(self):
        if self.state is None:
            self.state = tempfile.mkdtemp(prefix="pebble-")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.state = os.path.realpath(self.state)
        if os.path.exists(os.path.join(self.state, "pebble.json")):
            raise PebbleError(f"{self.state} is in use; stop the CA there first")
        try:
            make_tls(self.state)
            _write_private(self.key_file, self.eab_keys[self.kid])
            self._attempts()
            with open(self.issuing_root, "wb") as file:
                file.write(self.get(self.management + "/roots/0"))
            self._write_description()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.stop_processes()
        remove_state(self.state)

    def restart(self):
        """Ends and starts the process on the same ports: it then knows no account any more."""
        self.stop_processes()
        if not self._try_ports():
            raise PebbleError(self._explain())
        with open(self.issuing_root, "wb") as file:
            file.write(self.get(self.management + "/roots/0"))
        self._write_description()

    def _attempts(self):
        wanted_http = self.http_port
        for _ in range(ATTEMPTS):
            (self.port, self.management_port, self.tls_port, self.dns_port,
             self.dns_management_port, http) = free_ports(6)
            self.http_port = wanted_http or http
            if self._try_ports():
                return
            explanation = self._explain()
            self.stop_processes()
            if "address already in use" not in explanation:
                raise PebbleError(explanation)
        raise PebbleError(f"no free ports in {ATTEMPTS} attempts: {explanation}")

    def _try_ports(self):
        self._write_config()
        resolver = f"127.0.0.1:{self.dns_port}"
        self._spawn([CHALLTESTSRV, "-http01", "", "-https01", "", "-tlsalpn01", "",
                     "-dns01", resolver, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
                     "-management", f"127.0.0.1:{self.dns_management_port}"], "dns.log", {})
        self._spawn([PEBBLE, "-config", "config.json", "-dnsserver", self.resolver or resolver], "pebble.log", {
            "PEBBLE_WFE_NONCEREJECT": str(self.nonce_reject),
            "PEBBLE_VA_ALWAYS_VALID": "1" if self.always_valid else "0",
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_AUTHZREUSE": str(self.reuse),
            "PEBBLE_CHAIN_LENGTH": str(self.chain_length),
            "PEBBLE_ALTERNATE_ROOTS": str(self.alternate_roots)})
        return self._ready()

    def _write_config(self):
        pebble = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": "server.pem", "privateKey": "server.key",
            "httpPort": self.http_port, "tlsPort": self.tls_port, "ocspResponderURL": "",
            "externalAccountBindingRequired": self.require_eab,
            "externalAccountMACKeys": self.eab_keys}
        if self.lifetime:
            pebble["certificateValidityPeriod"] = self.lifetime
        _write_private(os.path.join(self.state, "config.json"), json.dumps({"pebble": pebble}))

    def _write_description(self):
        with open(os.path.join(self.state, "pebble.json"), "w", encoding="ascii") as file:
            json.dump(self.describe(), file, indent=2)
            file.write("\n")

    def _spawn(self, command, log, environment):
        # A test that is killed takes its CA along; the command line's CA stays.
        if not self.retain:
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with open(os.path.join(self.state, log), "wb") as output:
            self.processes.append(subprocess.Popen(
                command, cwd=self.state, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=self.retain,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **environment}))

    def _ready(self):
        """Both answer, on our ports and with our certificate (a stranger's would not verify)."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self.processes):
                return False
            try:
                self.get(self.directory)
                self.get(self.management + "/roots/0")
                with socket.create_connection(("127.0.0.1", self.dns_port), timeout=1):
                    # DNS has no certificate: that our own children live tells it from a stranger.
                    return all(process.poll() is None for process in self.processes)
            except OSError:
                time.sleep(0.02)
        return False

    def _explain(self):
        lines = []
        for name in ("pebble.log", "dns.log"):
            with open(os.path.join(self.state, name), encoding="utf-8", errors="replace") as file:
                lines += [f"{name}: {line.rstrip()}" for line in file.readlines()[-5:]]
        return "Pebble did not start:\n" + "\n".join(lines)

    def stop_processes(self):
        """Ends the CA but keeps its folder; restart() brings it back."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []


def command_start(options):
    for program in (PEBBLE, CHALLTESTSRV):
        if not os.access(program, os.X_OK):
            raise PebbleError(f"{program} is missing; install Debian's package pebble")
    ca = Pebble(state=options.state, kid=options.kid, require_eab=not options.no_eab,
                eab_octets=options.eab_octets, nonce_reject=options.nonce_reject,
                always_valid=options.always_valid, reuse=options.reuse,
                chain_length=options.chain_length, lifetime=options.lifetime,
                http_port=options.http_port, host=options.host, retain=True)
    ca.start()
    print(os.path.join(ca.state, "pebble.json"))


def command_stop(options):
    path = os.path.join(options.state, "pebble.json")
    try:
        with open(path, encoding="ascii") as file:
            pids = json.load(file)["pids"]
    except FileNotFoundError:
        return      # not running: what was asked for is so
    stop_processes(pids, options.state)
    remove_state(options.state)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="pebble.py", description="An ACME test CA on loopback.")
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("start", help="start a CA and return when it answers")
    start.add_argument("--state", required=True, help="folder for everything of this CA")
    start.add_argument("--kid", default="kid-1", help="key identifier of the EAB")
    start.add_argument("--eab-octets", type=int, default=32, help="length of the new HMAC key")
    start.add_argument("--no-eab", action="store_true", help="do not require EAB")
    start.add_argument("--nonce-reject", type=int, default=0, help="percentage of badNonce")
    start.add_argument("--always-valid", action="store_true", help="answered challenges succeed")
    start.add_argument("--reuse", type=int, default=100, help="percentage of reused authorizations")
    start.add_argument("--chain-length", type=int, default=1, help="number of intermediates")
    start.add_argument("--lifetime", type=int, default=0, help="of certificates, in seconds")
    start.add_argument("--http-port", type=int, help="where http-01 asks; default: a free port")
    start.add_argument("--host", default="localhost", choices=("localhost", "127.0.0.1"))
    start.set_defaults(function=command_start)
    stop = commands.add_parser("stop", help="end the CA and remove its files")
    stop.add_argument("--state", required=True)
    stop.set_defaults(function=command_stop)
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    try:
        options.function(options)
    except PebbleError as error:
        print(f"pebble.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
