#!/usr/bin/python3
"""acmeward beside certbot, lego, uacme and dehydrated of Debian: same Pebble, one run, as root.

    python3 tests/bench/peers.py             installs what is missing; a few minutes; two tables
    python3 tests/bench/peers.py --rounds 3  quicker

Cost: one certificate for a name that the CA has validated, by the whole process: time, CPU (for
acmeward: the signer's too), peak memory, requests that the CA saw. Exposure: where the EAB HMAC key
and the account's private key are during and after registration and a first certificate. Arguments
and environment of every process are taken from execve (strace), so that none is too short to be
seen; then every file is read that is left.

What was found: docs/performance.md.
"""

import argparse
import ast
import base64
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import programs  # noqa: E402

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
MAIL = "admin@dept.example.edu"
CLIENTS = ("certbot", "lego", "uacme", "dehydrated")


class Peer:
    """A client with a folder of its own. first: registers and issues; again: issues once more."""

    def __init__(self, world, name):
        self.world, self.ca = world, world.ca
        self.name = name
        self.host = f"{name}.dept.example.edu"
        self.folder = world.path(f"peer-{name}")
        os.mkdir(self.folder, 0o755)

    @property
    def hmac(self):
        with open(self.ca.key_file, encoding="ascii") as file:
            return file.read().strip()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def environment(self):
        from world import environment
        return environment(HOME=self.folder, TMPDIR=self.folder)

    def folders(self):
        """Where its files may be."""
        return [self.folder]


class Certbot(Peer):
    def command(self):
        return ["certbot", "certonly", "--standalone", "--http-01-port", str(self.ca.http_port),
                "--non-interactive", "--agree-tos", "--email", MAIL, "--server", self.ca.directory,
                "--domain", self.host, "--cert-name", "x", "--config-dir", self.path("etc"),
                "--work-dir", self.path("work"), "--logs-dir", self.path("logs")]

    def first(self):
        return [[*self.command(), "--eab-kid", self.ca.kid, "--eab-hmac-key", self.hmac]]

    def again(self):
        return [*self.command(), "--force-renewal"]


class Lego(Peer):
    """It wants the HMAC key on every command line, that of a renewal too."""

    def command(self):
        return ["lego", "--server", self.ca.directory, "--email", MAIL, "--accept-tos", "--domains",
                self.host, "--path", self.path("lego"), "--http", "--http.port",
                f":{self.ca.http_port}", "--eab", "--kid", self.ca.kid, "--hmac", self.hmac]

    def first(self):
        return [[*self.command(), "run"]]

    def again(self):
        return [*self.command(), "renew", "--days", "10000", "--no-random-sleep"]


class Uacme(Peer):
    def command(self):
        hook = self.write("hook", "#!/bin/sh\n[ \"$2\" = http-01 ]\n", 0o755)
        return ["uacme", "-a", self.ca.directory, "-c", self.path("uacme"), "-t", "EC", "-h", hook,
                "-o"]

    def first(self):
        return [[*self.command(), "-y", "-e", f"{self.ca.kid}:{self.hmac}", "new", MAIL],
                [*self.command(), "issue", self.host]]

    def again(self):
        return [*self.command(), "-f", "issue", self.host]


class Dehydrated(Peer):
    def command(self):
        os.makedirs(self.path("wellknown"), exist_ok=True)
        config = self.write("config", f"""CA={self.ca.directory}
EAB_KID={self.ca.kid}
EAB_HMAC_KEY={self.hmac}
BASEDIR={self.folder}
WELLKNOWN={self.path("wellknown")}
CONTACT_EMAIL={MAIL}
KEY_ALGO=prime256v1
""", 0o600)
        return ["dehydrated", "-f", config]

    def first(self):
        return [[*self.command(), "--register", "--accept-terms"],
                [*self.command(), "-c", "-d", self.host]]

    def again(self):
        return [*self.command(), "-c", "-d", self.host, "--force"]


class Acmeward(Peer):
    def __init__(self, world, name):
        super().__init__(world, name)
        world.application("bench", subdomains_of=["dept.example.edu"],
                          limits={"orders_per_day": 1000})
        world.write_config()
        world.start_signer()
        world.admin("ca", "pin", "loopback", "--yes")
        world.admin("account", "create", "loopback-ov")

    def command(self):
        from world import CLIENT
        # No ca_file: like the others it reads the system's bundle.
        config = self.write("client.yaml", f"signer: {self.world.socket}\n"
                            f"signer_user: {self.world.user}\ncertificates: {self.folder}\n")
        return [CLIENT, "certonly", "--config", config, "-d", self.host, "--standalone",
                "--http-01-port", str(self.ca.http_port)]

    def first(self):
        from world import ADMIN
        admin = [ADMIN, "--config", self.world.config]
        return [[*admin, "eab", "import", "--ca", "loopback", "--kid", self.ca.kid],
                [*admin, "account", "register", "loopback-ov", "--kid", self.ca.kid, "--agree-tos",
                 "--contact", MAIL], self.command()]

    def again(self):
        return [*self.command(), "--force-renewal"]

    def folders(self):
        return [self.folder, self.world.path("state"), self.world.path("token"),
                self.world.path("etc"), self.world.path("run")]


PEERS = (Acmeward, Certbot, Lego, Uacme, Dehydrated)


# Cost.

def measure(peer):
    """One run: seconds, CPU seconds, peak octets, requests.

    The peak is what time(1) tells: a process that this one starts has this one's peak from the
    beginning (getrusage(2): ru_maxrss survives execve)."""
    peak = peer.path("peak")
    signer = peer.world.signer.pid
    before_requests = peer.ca.log().count("-> calling handler()")
    before_cpu = programs.cpu_seconds_of_all(signer)
    with open(peer.path("output"), "wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(["time", "-f", "%M", "-o", peak, *peer.again()], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, env=peer.environment(), cwd=peer.folder)
        _, status, usage = os.wait4(process.pid, 0)     # with all that it waited for
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        with open(peer.path("output"), encoding="utf-8", errors="replace") as output:
            raise RuntimeError(f"{peer.name}: status {process.returncode}\n{output.read()}")
    cpu = usage.ru_utime + usage.ru_stime
    if isinstance(peer, Acmeward):
        cpu += programs.cpu_seconds_of_all(signer) - before_cpu
    with open(peak, encoding="ascii") as file:
        octets = int(file.read()) * 1024
    return (seconds, cpu, octets,
            peer.ca.log().count("-> calling handler()") - before_requests)


def median(values):
    return sorted(values)[len(values) // 2]


def print_costs(results):
    ours = [median(column) for column in zip(*results["acmeward"])]
    print("| client | time, ms | | CPU, ms | | peak memory, MiB | | requests |")
    print("|---|---|---|---|---|---|---|---|")
    for name, rows in results.items():
        seconds, cpu, octets, requests = (median(column) for column in zip(*rows))
        print(f"| {name} | {seconds * 1e3:.0f} | {seconds / ours[0]:.1f} | {cpu * 1e3:.0f} |"
              f" {cpu / ours[1]:.1f} | {octets / 2**20:.0f} | {octets / ours[2]:.1f} | {requests} |")


# Exposure.

EXEC = re.compile(r'execve\("(?:[^"\\]|\\.)*", (\[.*?\]), (\[.*\])\) = 0')
PEM_KEY = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----$", re.MULTILINE)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def strings(text):
    return [ast.literal_eval(f'b"{word}"') for word in STRING.findall(text)]


def run_traced(peer):
    """Registers and issues; arguments and environment of each process that was started."""
    arguments, variables = [], []
    for number, command in enumerate(peer.first()):
        trace = peer.world.path(f"trace-{peer.name}-{number}")
        wants_key = "import" in command
        done = subprocess.run(
            ["strace", "-f", "-v", "-s", "65536", "-e", "trace=execve", "-o", trace, *command],
            input=peer.hmac if wants_key else None,
            stdin=None if wants_key else subprocess.DEVNULL, capture_output=True, text=True,
            check=False, env=peer.environment(), cwd=peer.folder)
        if done.returncode != 0:
            raise RuntimeError(f"{peer.name}: status {done.returncode}\n{done.stdout}{done.stderr}")
        with open(trace, encoding="utf-8", errors="replace") as file:
            for line in file:
                found = EXEC.search(line)
                if found:
                    arguments.append(b"\0".join(strings(found.group(1))))
                    variables.append(b"\0".join(strings(found.group(2))))
        os.unlink(trace)
    return arguments, variables


def hmac_forms(text):
    """The key as text, in hexadecimal, in plain base64 and as octets."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return [text.encode(), raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), raw]


def files_of(peer):
    for top in peer.folders():
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as file:
                        yield path, file.read()


def jwk_key(document):
    """The public half of a JWK, as certbot keeps it (RFC 7518 6.3.1)."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    def number(name):
        text = document[name]
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    return spki(rsa.RSAPublicNumbers(number("e"), number("n")).public_key())


def private_key_in(data):
    """The public half of a private key that the file holds in the clear; None: none."""
    begin = PEM_KEY.search(data)
    if begin:       # by the openssl program: one of these clients leaves leading zeros out
        return subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], check=True,
                              input=data[begin.start():], capture_output=True).stdout
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return jwk_key(document) if isinstance(document, dict) and "d" in document else None


def spki(key):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certified_keys(peer):
    """Public keys of the certificates: their private halves are no account's."""
    from cryptography import x509
    found = set()
    for _, data in files_of(peer):
        if data.startswith(b"-----BEGIN CERTIFICATE-----"):
            found.add(spki(x509.load_pem_x509_certificate(data).public_key()))
    return found


def describe_file(peer, path):
    for top in peer.folders():
        if path.startswith(top + "/"):
            shown = os.path.relpath(path, peer.world.folder)
    shown = re.sub(r"[0-9a-f]{32}|localhost:[0-9]+|localhost_[0-9]+|(?<=accounts/)aHR0[^/]*", "*",
                   shown.removeprefix(f"peer-{peer.name}/"))
    mode = stat.S_IMODE(os.stat(path).st_mode)
    folder = os.path.dirname(path)
    while folder.startswith(peer.folder) and os.stat(folder).st_mode & stat.S_IXOTH:
        folder = os.path.dirname(folder)
    within = " in a folder closed to others" if folder.startswith(peer.folder) else ""
    return f"`{shown}` ({mode:04o}{within})"


def exposure(peer):
    """What is said in the two cells of the client's row."""
    arguments, variables = run_traced(peer)
    forms = hmac_forms(peer.hmac)
    eab, account = [], []
    texts = forms[:3]
    seen = [words for words in arguments if any(form in words for form in texts)]
    if seen:
        whose = sorted({os.path.basename(words.split(b"\0")[0]).decode() for words in seen})
        eab.append(f"arguments of {', '.join(whose)}: every local user can read them")
    if any(form in words for words in variables for form in texts):
        eab.append("environment")
    certified = certified_keys(peer)
    for path, data in files_of(peer):
        if any(form in data for form in forms):
            eab.append(describe_file(peer, path))
        key = private_key_in(data)
        if key is not None and key not in certified:
            account.append(describe_file(peer, path))
    return "; ".join(eab) or "nowhere", "; ".join(sorted(account)) or "nowhere"


def print_exposure(results):
    print("| client | EAB HMAC key | account's private key |")
    print("|---|---|---|")
    for name, (eab, account) in results.items():
        print(f"| {name} | {eab} | {account} |")


# The run.

def trust_only(path):
    """The bundle that every client reads becomes this one, for this process and its children."""
    if os.environ.get("PEERS_INSIDE") == "yes":
        return
    command = f"mount --bind {shlex.quote(path)} {BUNDLE} && exec \"$@\""
    os.execvp("unshare", ["unshare", "--mount", "sh", "-c", command, "sh", "env",
                          "PEERS_INSIDE=yes", f"PEERS_BUNDLE={path}", sys.executable, *sys.argv])


def install():
    subprocess.run(["sh", os.path.join(programs.PROJECT, "packaging", "install-packages.sh"),
                    "build", "run", "test", "peers"], check=True, stdout=subprocess.DEVNULL)


def versions():
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *CLIENTS],
                          capture_output=True, text=True, check=False)
    return done.stdout.rstrip(", ")


def work(rounds, bundle):
    from world import World
    with World(pebble={"reuse": 100, "nonce_reject": 0}) as world:
        shutil.copyfile(world.ca.ca_file, bundle)
        peers = [kind(world, kind.__name__.lower()) for kind in PEERS]
        exposed = {peer.name: exposure(peer) for peer in peers}
        costs = {peer.name: [] for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                costs[peer.name].append(measure(peer))
        signer = sum(programs.status_octets(pid, "VmHWM")
                     for pid in programs.family(world.signer.pid))
    print(f"{versions()}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds\n")
    print_costs(costs)
    print(f"\nThe signer, whoever asks: {signer / 2**20:.0f} MiB at its peak.\n")
    print_exposure(exposed)


def main():
    parser = argparse.ArgumentParser(description="acmeward beside other clients.")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("peers.py: run it as root, in a container: it installs packages, and gives its "
                 "processes a bundle of CA certificates of their own")
    if os.environ.get("PEERS_INSIDE") != "yes":
        install()
        descriptor, path = tempfile.mkstemp(prefix="aw-bundle-")
        os.close(descriptor)
        os.chmod(path, 0o644)
        trust_only(path)
    bundle = os.environ["PEERS_BUNDLE"]
    try:
        programs.prepare()
        work(options.rounds, bundle)
    finally:
        os.unlink(bundle)


if __name__ == "__main__":
    main()
