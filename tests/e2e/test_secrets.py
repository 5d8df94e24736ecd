#!/usr/bin/python3
"""What the product exists for: neither the EAB HMAC key nor the account's private key is anywhere
but in the token.

The fixture puts a key pair that it knows into the token as the account key, so that the search has a
needle; planted copies must be found. Exempt: Pebble's own configuration and the file from which the
fixture imports, which hold the HMAC key, and the token itself, which is encrypted.
"""

import base64
import os
import signal
import subprocess
import threading
import unittest

from world import ADMIN, CLIENT, SIGNER, TOKEN_TOOL, World, environment, run, wait_until

OURS = {os.path.realpath(program) for program in (ADMIN, CLIENT, SIGNER)}


def encodings(secret):
    """Every form in which a secret may stand: raw, hex, base64 and base64url at any alignment."""
    found = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + secret).rstrip(b"=")
        # The first and last characters depend on what stands before and behind.
        inner = text[(offset * 8 + 5) // 6:-1]
        found[f"base64+{offset}"] = inner
        found[f"base64url+{offset}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return found


class Needles:
    def __init__(self, secrets):
        self.needles = {f"{what} as {form}": text for what, secret in secrets.items()
                        for form, text in encodings(secret).items()}

    def search(self, data):
        return [name for name, text in self.needles.items() if text in data]

    def search_files(self, folder, exempt=()):
        found = []
        for parent, _, files in os.walk(folder):
            for file in files:
                path = os.path.join(parent, file)
                if path in exempt or not os.path.isfile(path):
                    continue
                with open(path, "rb") as stream:
                    found += [f"{path}: {name}" for name in self.search(stream.read())]
        return found

    def search_memory(self, pid):
        """The process is stopped meanwhile; what a core file would hold, read directly."""
        found, octets = [], 0
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, \
                open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                span, modes = line.split()[:2]
                if "r" not in modes or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                    continue
                first, last = (int(part, 16) for part in span.split("-"))
                if last - first > 1 << 30:      # a sanitizer's shadow
                    continue
                try:
                    memory.seek(first)
                    data = memory.read(last - first)
                except (OSError, ValueError):
                    continue
                octets += len(data)
                found += [f"memory at {span}: {name}" for name in self.search(data)]
        return found, octets


class Watcher(threading.Thread):
    """Looks at every process's command line and environment until told to stop."""

    def __init__(self, needles):
        super().__init__()
        self.needles = needles
        self.end = threading.Event()
        self.found = []
        self.seen = set()

    def run(self):
        while not self.end.wait(0.002):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                self.look(pid)

    def look(self, pid):
        try:
            self.seen.add(os.readlink(f"/proc/{pid}/exe"))
            for file in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{file}", "rb") as stream:
                    self.found += [f"{file} of {pid}: {name}"
                                   for name in self.needles.search(stream.read())]
        except OSError:
            pass        # it has ended, or is not ours to see


class Nowhere(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(pebble={"always_valid": False})
        cls.enterClassContext(cls.world)
        world = cls.world
        world.application("app", exact=["app.dept.example.edu"])
        private = cls.make_known_key()
        with open(world.ca.key_file, encoding="ascii") as file:
            text = file.read()
        cls.eab = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cls.needles = Needles({"the HMAC key": cls.eab, "the account key": private})
        cls.watcher = Watcher(cls.needles)
        cls.watcher.start()
        try:
            world.start()
            cls.memory = cls.issue_and_look()
        finally:
            cls.watcher.end.set()
            cls.watcher.join()

    @classmethod
    def make_known_key(cls):
        """Into the token as the account key; the file is gone before anything is searched."""
        world, path = cls.world, cls.world.path("known.pem")
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-out", path])
        text = run(["openssl", "pkey", "-in", path, "-noout", "-text"]).out
        digits = "".join(text.split("priv:")[1].split("pub:")[0].split()).replace(":", "")
        run([TOKEN_TOOL, "import-key", "--module", world.token["TOKEN_MODULE"],
             "--token", world.token["TOKEN_LABEL"], "--pin-file", world.token["TOKEN_PIN_FILE"],
             "--label", "acmeward-account:loopback-ov", "--key", path],
            env=environment(SOFTHSM2_CONF=world.token["SOFTHSM2_CONF"]))
        os.unlink(path)
        return bytes.fromhex(digits)[-32:]

    @classmethod
    def issue_and_look(cls):
        """Stops the client again and again in the middle of its work and reads its memory."""
        world = cls.world
        found, octets, looks, control = [], 0, 0, False
        control_text = world.ca.origin.encode()
        process = subprocess.Popen(
            world.client_command("certonly", "-d", "app.dept.example.edu", "--standalone",
                                 "--http-01-port", str(world.http_port)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
        while process.poll() is None:
            try:
                os.kill(process.pid, signal.SIGSTOP)
                now, size = cls.needles.search_memory(process.pid)
                control = control or bool(Control(control_text).search_memory(process.pid)[0])
                found, octets, looks = found + now, max(octets, size), looks + 1
            except (OSError, ProcessLookupError):
                pass
            finally:
                process.send_signal(signal.SIGCONT)
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
        output = process.stdout.read().decode()
        process.stdout.close()
        assert process.returncode == 0, output
        return found, octets, looks, control

    def exempt(self):
        return {self.world.path("ca", "config.json"), self.world.path("ca", "eab.key")}

    def test_files(self):
        self.assertEqual(self.needles.search_files(self.world.folder, self.exempt()), [])

    def test_files_of_tmp_made_meanwhile(self):
        start = os.stat(self.world.config).st_mtime
        for file in os.listdir("/tmp"):
            path = os.path.join("/tmp", file)
            if os.path.isfile(path) and os.stat(path).st_mtime >= start:
                with open(path, "rb") as stream:
                    self.assertEqual(self.needles.search(stream.read()), [], path)

    def test_command_lines_and_environments(self):
        self.assertEqual(self.watcher.found, [])
        self.assertTrue(OURS <= self.watcher.seen, f"not seen: {OURS - self.watcher.seen}")

    def test_memory_of_the_client(self):
        found, octets, looks, control = self.memory
        self.assertEqual(found, [])
        self.assertGreaterEqual(looks, 3)
        self.assertGreater(octets, 1 << 20)
        self.assertTrue(control, "the search saw nothing at all: not even the CA's URL")

    def test_logs(self):
        self.assertEqual(self.needles.search(self.world.log().encode()), [])
        self.assertEqual(self.needles.search(self.world.ca.log().encode()), [])

    def test_the_needles_are_what_was_used(self):
        shown = self.world.admin("--json", "account", "show", "loopback-ov").json()
        self.assertEqual(shown["state"], "registered")
        with open(self.world.path("ca", "config.json"), "rb") as file:
            self.assertNotEqual(self.needles.search(file.read()), [])

    def test_planted_copies_are_found(self):
        path = self.world.path("state", "planted")
        for name, text in self.needles.needles.items():
            for before in (b"", b"{\"key\":\"", bytes(range(7))):
                with self.subTest(name):
                    with open(path, "wb") as file:
                        file.write(before + text + b"\0")
                    found = self.needles.search_files(self.world.folder, self.exempt())
                    os.unlink(path)
                    self.assertTrue(any("planted" in line and name in line for line in found))

    def test_a_planted_command_line_is_found(self):
        watcher = Watcher(self.needles)
        text = base64.urlsafe_b64encode(self.eab).rstrip(b"=").decode()
        process = subprocess.Popen(["sh", "-c", "read wait", text], stdin=subprocess.PIPE)
        try:
            # Between fork and exec it has its parent's command line.
            wait_until("the planted command line", lambda: watcher.look(str(process.pid))
                       or watcher.found)
        finally:
            process.kill()
            process.stdin.close()
            process.wait()
        self.assertTrue(watcher.found)


class Control(Needles):
    def __init__(self, text):
        self.needles = {"control": text}


if __name__ == "__main__":
    unittest.main()
