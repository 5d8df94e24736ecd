"""A signer killed under load, again and again, and what must be true after each time.

Used by test_kill.py, for some rounds, and by tests/soak.py, for as many as one likes.
"""

import glob
import hashlib
import json
import os
import random
import signal
import socket
import threading
import time

from world import wait_until

CLIENTS = 3
NAME = "app.dept.example.edu"
SIGNER = "org.acmeward.Signer."
DELAY = 0.02        # seconds after the first signatures, at most
# Whom the kill hits: the core most often, since the records are made there.
GATES = ("applications", "administrators")
VICTIMS = ("core", "core", "core", "keeper", *GATES)


class Connection:
    """Varlink by hand: each answer is read as soon as it is there."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        while b"\0" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.buffer += more
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method, **parameters):
        message = {"method": SIGNER + method, "parameters": parameters}
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        return self.receive()

    def new_order(self, name=NAME, number=0):
        return self.call("NewOrder", nonce=f"nonce{number}",
                         identifiers=[{"type": "dns", "value": name}])


def input_digest(answer):
    """SHA-256 of what was signed: RFC 7515 5.1."""
    jws = answer["parameters"]["jws"]
    return hashlib.sha256(f"{jws['protected']}.{jws['payload']}".encode()).hexdigest()


class Load(threading.Thread):
    """Orders until the signer is gone; keeps the digests of what it was given."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.leaving = False
        self.digests = []
        self.unexpected = []

    def run(self):
        try:
            with Connection(self.path) as connection:
                self.order(connection)
        except OSError:
            pass        # killed

    def leave(self):
        self.leaving = True

    def order(self, connection):
        for number in range(1000000):
            if self.leaving:
                return
            answer = connection.new_order(number=number)
            if "error" in answer:
                self.unexpected.append(answer)
                return
            self.digests.append(input_digest(answer))


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[:-1]
    except OSError:
        return []


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def processes(core):
    """The signer's processes by what they are: core, keeper, users, and the gates."""
    found = {"core": core}
    parents = {int(pid): parent_of(pid) for pid in filter(str.isdigit, os.listdir("/proc"))}
    children = [pid for pid, parent in parents.items() if parent == core]
    for pid in children:
        gates = [child for child, parent in parents.items() if parent == pid]
        for gate in gates:
            found.update({word.decode(): gate for word in command_of(gate)[1:2]})
        found["keeper" if gates else name_of(pid)] = pid
    return found


def wait_for_end(running):
    """All end with the core or the keeper; an old gate that still listens is not the new one."""
    wait_until("the end of all the signer's processes", lambda: not any(
        command_of(pid) for pid in running.values()), pause=0.002)


class AuditFiles:
    """Permits of new-order in the log, read on from where the last look ended."""

    def __init__(self, folder):
        self.folder = folder
        self.offsets = {}       # by inode: a segment that is closed gets another name
        self.inputs = set()
        self.permits = 0

    def read_on(self):
        for path in sorted(glob.glob(os.path.join(self.folder, "*.jsonl"))):
            with open(path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(self.offsets.get(inode, 0))
                data = file.read()
            whole = data[:data.rfind(b"\n") + 1]
            self.offsets[inode] = self.offsets.get(inode, 0) + len(whole)
            for line in whole.splitlines():
                self.take(json.loads(line))

    def take(self, record):
        if record.get("operation") == "new-order" and record.get("verdict") == "permit":
            self.permits += 1
            self.inputs.add(record["input"])


class Rounds:
    """Rounds in one world, whose policy lets NAME be ordered; `seed` makes them again."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.audit = AuditFiles(world.path("state", "audit"))
        self.released = set()
        self.kills = {}
        self.victim = None      # of the last round
        self.running = {}       # before it

    def today(self):
        """A gate that was killed took the connections with it that it had accepted."""
        for _ in range(20 if self.victim in GATES else 0):
            try:
                return self.ask_today()
            except ConnectionError:
                time.sleep(0.01)
        return self.ask_today()

    def ask_today(self):
        with Connection(self.world.socket) as connection:
            limits = connection.call("WhoAmI")["parameters"]["applications"][0]["limits"]
            return limits["orders_today"]

    def kill(self):
        """Returns whether the whole signer has to end of it."""
        victim = self.random.choice(VICTIMS)
        self.running = processes(self.world.signer.pid)
        pid = self.running.get(victim)
        if pid is None:     # a gate that is just being started
            victim, pid = "core", self.world.signer.pid
        self.victim = victim
        self.kills[victim] = self.kills.get(victim, 0) + 1
        os.kill(pid, signal.SIGKILL)
        return victim in ("core", "keeper")

    def round(self):
        load = [Load(self.world.socket) for _ in range(CLIENTS)]
        for client in load:
            client.start()
        wait_until("signatures", lambda: sum(len(client.digests) for client in load) > 2, pause=0.001)
        time.sleep(self.random.random() * DELAY)
        ends = self.kill()
        if ends:
            self.world.signer.wait(30)
            self.world.signer = None
            wait_for_end(self.running)
        else:       # whoever was connected through the other gate goes on
            time.sleep(0.005)
            for client in load:
                client.leave()
        for client in load:
            client.join(60)
            assert client.unexpected == [], client.unexpected
            self.released.update(client.digests)
        if ends:
            self.world.start_signer()

    def check(self):
        """What left is on record; what is on record counts, whether it left or not."""
        used = self.today()
        self.audit.read_on()
        assert self.released <= self.audit.inputs, self.released - self.audit.inputs
        assert used == self.audit.permits, (self.victim, used, self.audit.permits)
        self.released.clear()
