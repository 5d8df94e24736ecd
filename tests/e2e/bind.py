"""BIND, unprivileged on loopback: primary of some zones that take updates signed with a TSIG key."""

import base64
import os
import secrets
import subprocess
import tempfile
import time

NAMED = "/usr/sbin/named"
CHECK = "/usr/bin/named-checkconf"
START_SECONDS = 20

ZONE = """$TTL 60
@ SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A 127.0.0.1
{records}
"""


def no_lock_file():
    """Until 9.18 a lock of the whole host is the default; later versions know neither it nor the option."""
    option = "lock-file none;"
    known = subprocess.run([CHECK, "/dev/stdin"], input=f"options {{ {option} }};", text=True,
                           capture_output=True, check=False)
    return option if known.returncode == 0 else ""


class Bind:
    """Zones: {name: further records}. The key may change TXT records of what is below _acme-challenge
    and `alias`, and nothing else."""

    def __init__(self, folder, port, zones, algorithm="hmac-sha256"):
        self.folder = tempfile.mkdtemp(prefix="bind-", dir=folder)
        self.port = port
        self.zones = zones
        self.algorithm = algorithm
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        text = f"""key acme. {{ algorithm {self.algorithm}; secret "{self.secret}"; }};
options {{ directory "{self.folder}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; {no_lock_file()} dnssec-validation no;
  recursion yes; allow-recursion {{ 127.0.0.0/8; }};
  managed-keys-directory "{self.folder}"; notify no; }};
controls {{ }};
zone "." {{ type primary; file "root"; }};
"""
        # Aliases are followed from zone to zone by recursion only; an empty root asks nobody else.
        with open(self.path("root"), "w", encoding="ascii") as file:
            file.write("$TTL 60\n@ SOA ns. admin. 1 3600 600 86400 60\n@ NS ns.\nns A 127.0.0.1\n")
        for zone, records in self.zones.items():
            with open(self.path(zone), "w", encoding="ascii") as file:
                file.write(ZONE.format(zone=zone, records=records))
            text += (f'zone "{zone}" {{ type primary; file "{zone}"; '
                     f"update-policy {{ grant acme. zonesub TXT; }}; }};\n")
        descriptor = os.open(self.path("named.conf"), os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", NAMED, "-g", "-n", "1", "-c",
                 self.path("named.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_SECONDS
        while " running\n" not in self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"named did not start:\n{self.log()}")
            time.sleep(0.02)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def credentials(self, path, **more):
        """A file as certbot has it; arguments replace or add keys, None leaves one out."""
        values = {"server": "127.0.0.1", "port": self.port, "name": "acme.", "secret": self.secret,
                  "algorithm": self.algorithm.upper(), **more}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("# TSIG key of the test\n")
            for key, value in values.items():
                if value is not None:
                    file.write(f"dns_rfc2136_{key} = {value}\n")
        return path

    def texts(self, name):
        """The TXT records of a name, as dig tells them."""
        done = subprocess.run(["dig", "+short", "+tcp", "-p", str(self.port), "@127.0.0.1", name, "TXT"],
                              capture_output=True, text=True, check=True, timeout=20)
        return sorted(line.strip('"') for line in done.stdout.splitlines() if line.startswith('"'))
