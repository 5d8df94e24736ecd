"""A signer killed under load, again and again, and what must be true after each time.

Used by test_kill.py, for some rounds, and by tests/soak.py, for as many as one likes.
"""

import contextlib
import glob
import hashlib
import json
import os
import random
import signal
import shutil
import socket
import sqlite3
import tempfile
import threading
import time

from kill_changes import Changes
from world import ADMIN, Failed, run, wait_until

CLIENTS = 3
NAME = "app.dept.example.edu"
SIGNER = "org.acmeward.Signer."
DELAY = 0.02        # seconds after the first signatures, at most
# Whom the kill hits: the core most often, since the records are made there; also one that is just
# ending (and seals its ledger), and the one that is started next, in the middle of that.
GATES = ("applications", "administrators")
VICTIMS = ("core", "core", "core", "keeper", "ending", "starting", *GATES)
ENDING, STARTING = 0.03, 0.15       # seconds until then, at most
LOGIN = 5.0                         # or when it logs in
TORN = 0.3                          # of the logs get half a record, as of a write that was cut off


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

    def call(self, method, interface=SIGNER, **parameters):
        message = {"method": interface + method, "parameters": parameters}
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
        self.ending = False
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
                if not (self.ending and answer["error"] == SIGNER + "Unavailable"):
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


def last_record(folder):
    """Number of the last whole record of the log; 0: none."""
    closed = sorted(glob.glob(os.path.join(folder, "audit-*.jsonl")), reverse=True)
    for path in (os.path.join(folder, "audit.jsonl"), *closed[:1]):
        with open(path, "rb") as file:
            lines = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        if lines:
            return json.loads(lines)["seq"]
    return 0


@contextlib.contextmanager
def copy_of(path):
    """Of a database: looking at it would mend it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "ledger.db")
        for suffix in ("", "-wal"):
            if os.path.exists(path + suffix):
                shutil.copy(path + suffix, copy + suffix)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            yield database


def tables(database):
    return [name for name, in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]


def rows(path):
    """Of all tables, sorted, but of the one that says how far the ledger has come."""
    with copy_of(path) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr)
                for table in tables(database) if table != "meta"}


def taken_in(path):
    """How far the ledger has come; 0 where there is none."""
    with copy_of(path) as database:
        if "meta" not in tables(database):
            return 0
        return next(database.execute("SELECT last_seq FROM meta"), (0,))[0]


def prepare(world):
    """A world for rounds: it runs, has an audit key, a wrapping key, and a key wrapped to it."""
    world.application("other", user="daemon", exact=["other.dept.example.edu"])
    world.write_config()
    with open(world.config, "a", encoding="ascii") as file:
        file.write("audit:\n  segment_mib: 1\n  key: audit-1\n  origin: kill.dept.example.edu/log\n"
                   "  export: none\n")
    world.start_ready()
    world.admin("audit", "key", "create")
    shown = world.admin("--json", "eab", "wrapping-key", "create").json()
    with open(world.path("wrapping.pem"), "w", encoding="ascii") as file:
        file.write(shown["pem"])
    with open(world.ca.key_file, encoding="ascii") as file:
        run([ADMIN, "--config", "/nonexistent", "eab", "wrap", "--public-key",
             world.path("wrapping.pem"), "--fingerprint", shown["fingerprint"], "--out",
             world.path("wrapped"), "--ca", "loopback", "--kid", "w"], stdin=file.read())
    with open(world.path("wrapped"), encoding="ascii") as file:
        return json.load(file)


class Rounds:
    """Rounds in one world, whose policy lets NAME be ordered; `seed` makes them again."""

    def __init__(self, world, seed, wrapped):
        self.world = world
        self.random = random.Random(seed)
        self.marker = world.path("state", "pin.latch")
        self.changes = Changes(lambda: Connection(world.admin_socket), self.random, wrapped)
        self.said = {"torn": 0, "replayed": 0, "marker": 0, "token": 0}  # starts that had to say so
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
        pid = self.running.get({"ending": "core", "starting": "core"}.get(victim, victim))
        if pid is None:     # a gate that is just being started
            victim, pid = "core", self.world.signer.pid
        self.victim = victim
        self.kills[victim] = self.kills.get(victim, 0) + 1
        if victim == "ending":
            for client in self.load:
                client.ending = True
            os.kill(pid, signal.SIGTERM)
            time.sleep(self.random.random() * ENDING)
        os.kill(pid, signal.SIGKILL)
        return victim not in GATES

    def round(self):
        self.load = [Load(self.world.socket) for _ in range(CLIENTS)]
        for client in self.load:
            client.start()
        wait_until("signatures", self.is_signing, pause=0.001)
        self.changes.begin()
        time.sleep(self.random.random() * DELAY)
        ends = self.kill()
        if ends:
            self.world.signer.wait(30)
            self.world.signer = None
            wait_for_end(self.running)
        else:       # whoever was connected through the other gate goes on
            time.sleep(0.005)
            for client in self.load:
                client.leave()
        self.changes.join()
        for client in self.load:
            client.join(60)
            assert client.unexpected == [], client.unexpected
            self.released.update(client.digests)
        if ends:
            self.restart()

    def is_signing(self):
        for client in self.load:
            assert client.unexpected == [], client.unexpected
        return sum(len(client.digests) for client in self.load) > 2

    # Starts.

    def tear(self):
        """Half a record behind the whole ones; returns its octets."""
        if self.random.random() >= TORN:
            return 0
        half = b'{"seq":1,"time":"2026'[:self.random.randrange(1, 20)]
        with open(os.path.join(self.audit.folder, "audit.jsonl"), "ab") as file:
            file.write(half)
        return len(half)

    def restart(self):
        """What a start has to mend it mends, and says so; no more and no less."""
        if self.victim == "starting":
            token = self.token_file()
            before = os.path.getsize(self.world.signer_log)
            core = self.world.spawn_signer()
            seconds = self.random.choice((self.random.random() * STARTING, LOGIN))
            end = time.monotonic() + seconds
            while time.monotonic() < end and not os.path.exists(self.marker) and \
                    "notice: ready\n" not in self.world.log(before):
                pass        # a login takes a millisecond
            running = processes(core.pid)
            core.kill()
            core.wait(30)
            self.world.signer = None
            wait_for_end(running)
            self.give_back(*token)
        torn = self.tear()
        lacking = last_record(self.audit.folder) - taken_in(self.world.path("state", "ledger.db"))
        before = len(self.world.log().encode())
        self.start()
        said = self.world.log(before)
        for what, octets, sentence in (
                ("torn", torn, f"ended in half a record: {torn} octets were set aside"),
                ("replayed", lacking, f"the ledger took in {lacking} records that it lacked")):
            self.said[what] += octets > 0
            assert (sentence in said) == (octets > 0), (what, octets, said)

    def token_file(self):
        """SoftHSM's own file of the token: its path and content."""
        path, = glob.glob(f"{self.world.token['TOKEN_FOLDER']}/**/token.object", recursive=True)
        with open(path, "rb") as file:
            return path, file.read()

    def give_back(self, path, content):
        """SoftHSM 2.6.1 empties that file in C_Login before it writes the same again (ftruncate, write): killed
        in between, it has no token any more. A restore from the backup, which is what its users do."""
        if os.path.getsize(path) < len(content):
            self.said["token"] += 1
            with open(path, "wb") as file:
                file.write(content)

    def start(self):
        """A login that was cut off is not repeated until somebody says so."""
        if os.path.exists(self.marker):
            self.said["marker"] += 1
            try:
                self.world.start_signer()
            except Failed as failure:
                assert "no login: an earlier one failed or was cut off" in str(failure), failure
            else:
                raise AssertionError("a start tried the PIN again")
            os.unlink(self.marker)
        self.world.start_signer()

    # What must be true.

    def check(self):
        """What left is on record; what is on record counts, whether it left or not."""
        self.settle()
        used = self.today()
        self.audit.read_on()
        assert self.released <= self.audit.inputs, self.released - self.audit.inputs
        assert used == self.audit.permits, (self.victim, used, self.audit.permits)
        self.released.clear()
        self.changes.check()

    def settle(self):
        """A gate that was killed is there again."""
        def answers():
            try:
                with Connection(self.world.admin_socket) as connection:
                    return "error" not in connection.call("GetStatus", "org.acmeward.Admin.")
            except OSError:
                return False
        if self.victim in GATES:
            wait_until("the administrators' gate", answers, pause=0.005)

    def check_ledger(self):
        """It is what the log says: made anew from that alone, it has the same rows."""
        path = self.world.path("state", "ledger.db")
        self.world.stop_signer()
        kept = rows(path)
        os.unlink(path)
        before = len(self.world.log().encode())
        self.world.start_signer()
        assert "the ledger was made anew from the audit log" in self.world.log(before)
        self.world.stop_signer()
        anew = rows(path)
        assert kept["orders"]
        for table in kept.keys() | anew.keys():
            assert kept.get(table) == anew.get(table), (table, kept.get(table), anew.get(table))
        self.world.start_signer()
