#!/usr/bin/python3
"""Long runs: kills without end, and mixed load with a look at memory and descriptors. See soak.sh."""

import argparse
import collections
import os
import random
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))

from killing import NAME, SIGNER, Connection, Rounds, prepare, processes  # noqa: E402
from world import ADMIN, World, run, wait_until  # noqa: E402

VERIFY_EVERY = 500      # rounds
# A start reads the log's last segment, and checks a ledger that was not closed, row by row: with short
# segments, which kills interrupt the closing of too, and a new world now and then, rounds stay as short.
WORLD_ROUNDS = 2000
LOOK_SECONDS = 2
# Memory may grow from the second quarter of the time to the last by that, for what an allocator
# keeps, and SQLite's page cache, which fills up to 8 MiB.
GROWTH, GROWTH_KIB = 1.10, 8 * 1024
# A million records, by a build with a sanitizer on a busy machine.
VERIFY_SECONDS = 1800
EXPECTED = {"PolicyRefused", "LedgerRefused", "Frozen", "Busy", "Unavailable", "InvalidRequest"}


# Kills.

def kill_in_one_world(options, first, last):
    """Returns how often who was killed, and how many orders are on record."""
    with World() as world:
        world.application("app", exact=[NAME], limits={"orders_per_day": 1000000})
        rounds = Rounds(world, options.seed + first, prepare(world))
        for number in range(first, last + 1):
            rounds.round()
            rounds.check()
            if number % VERIFY_EVERY == 0 or number == last:
                world.admin("audit", "verify")
                rounds.check_ledger()
        return rounds.kills, rounds.audit.permits


def kill(options):
    began = time.monotonic()
    kills = collections.Counter()
    orders = 0
    for first in range(1, options.rounds + 1, WORLD_ROUNDS):
        last = min(first + WORLD_ROUNDS - 1, options.rounds)
        more, permits = kill_in_one_world(options, first, last)
        kills.update(more)
        orders += permits
        print(f"{last} rounds, {time.monotonic() - began:.0f} s, kills {dict(kills)}, "
              f"{orders} orders on record, log verified", flush=True)


# Load.

class Worker(threading.Thread):
    """Does one thing until it is told to stop; what goes wrong is kept."""

    def __init__(self, load, work, pause):
        super().__init__()
        self.load, self.work, self.pause = load, work, pause

    def run(self):
        while not self.load.stop.wait(self.pause):
            try:
                self.work()
            except ConnectionError:
                self.load.count("closed")
            except Exception as fault:  # whatever it is, the run is to say so at its end
                self.load.faults.append(f"{self.work.__name__}: {fault}")
                self.load.stop.set()


class Load:
    def __init__(self, world):
        self.world = world
        self.stop = threading.Event()
        self.faults = []
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.random = random.Random(1)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def note(self, answer, what):
        error = answer.get("error", "").rpartition(".")[2]
        self.count(f"{what}: {error}" if error else what)
        if error and error not in EXPECTED:
            self.faults.append(f"{what}: {answer}")

    def orders(self):
        with Connection(self.world.socket) as connection:
            for number in range(50):
                answer = connection.new_order(number=number)
                self.note(answer, "order")
                if "error" not in answer:
                    ticket = answer["parameters"]["order"]
                    urls = [{"kind": "order", "url": f"{self.world.ca.origin}/my-order/{ticket}"}]
                    self.note(connection.call("ClaimUrls", order=ticket, urls=urls), "claim")
                    self.note(connection.call("PostAsGet", order=ticket, nonce="n",
                                              url=urls[0]["url"]), "poll")

    def refusals(self):
        with Connection(self.world.socket) as connection:
            for number in range(50):
                self.note(connection.new_order("other.dept.example.edu", number), "refusal")
                self.note(connection.call("WhoAmI"), "whoami")

    def garbage(self):
        path = self.random.choice((self.world.socket, self.world.admin_socket))
        octets = self.random.choice((
            b"\xff" * 100, b"{" * 4000 + b"\0", b"{}\0" * 20, b'{"method":"' + b"a" * 300000,
            b'{"method":"org.acmeward.Signer.WhoAmI"', self.random.randbytes(5000) + b"\0", b""))
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(10)
            one.connect(path)
            one.sendall(octets)
            one.shutdown(socket.SHUT_WR)
            while one.recv(65536):
                pass
        self.count("garbage")

    def issue(self):
        done = self.world.certonly(NAME, words=("--force-renewal",), status=None)
        self.count(f"certonly: exit {done.status}")
        if done.status not in (0, 1, 3, 5):
            self.faults.append(repr(done))

    def reload(self):
        self.world.application("app", exact=[NAME], limits={
            "orders_per_day": 1000000 - self.random.randrange(10)})
        self.world.admin("reload")
        self.count("reload")

    def administer(self):
        self.world.admin("freeze", "--reason", "soak")
        self.stop.wait(0.2)
        self.world.admin("unfreeze")
        self.world.admin("audit", "checkpoint")
        self.world.admin("status")
        self.count("freeze, checkpoint")


def measure(world):
    """Resident memory in KiB, descriptors and threads of each process."""
    found = {}
    for name, pid in processes(world.signer.pid).items():
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        found[name] = (int(fields["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")),
                       int(fields["Threads"]))
    return found


def judge(samples, before, after, memory):
    """Prints the figures; returns what is wrong."""
    wrong = []
    quarter = max(1, len(samples) // 4)
    for name in before:
        first = max(sample[name][0] for sample in samples[quarter:2 * quarter] or samples)
        last = max(sample[name][0] for sample in samples[-quarter:])
        print(f"{name}: {first} KiB in the second quarter, {last} KiB in the last; descriptors "
              f"{before[name][1]} before, {max(sample[name][1] for sample in samples)} at most, "
              f"{after[name][1]} after; threads {before[name][2]} before, {after[name][2]} after")
        if memory and last > first * GROWTH + GROWTH_KIB:
            wrong.append(f"{name}: memory grew from {first} to {last} KiB")
        if after[name][1] > before[name][1]:
            wrong.append(f"{name}: {after[name][1] - before[name][1]} descriptors more than before")
        if after[name][2] > before[name][2]:
            wrong.append(f"{name}: {after[name][2] - before[name][2]} threads more than before")
    return wrong


def work(world, seconds):
    load = Load(world)
    workers = [Worker(load, load.orders, 0.01), Worker(load, load.orders, 0.01),
               Worker(load, load.refusals, 0.02), Worker(load, load.garbage, 0.02),
               Worker(load, load.garbage, 0.05), Worker(load, load.issue, 0.5),
               Worker(load, load.reload, 1), Worker(load, load.administer, 5)]
    samples = []
    for worker in workers:
        worker.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not load.stop.wait(LOOK_SECONDS):
        if world.signer.poll() is not None:
            load.faults.append(f"the signer ended with {world.signer.returncode}")
            break
        samples.append(measure(world))
    load.stop.set()
    for worker in workers:
        worker.join(120)
    return load, samples


def load_run(options):
    # Freed memory that a sanitizer keeps to find uses of it.
    kept = os.environ.get("ASAN_OPTIONS", "")
    os.environ["ASAN_OPTIONS"] = f"{kept}:quarantine_size_mb=8" if kept else "quarantine_size_mb=8"
    # A process with a sanitizer grows while what it has allocated does not (core, ASan: 1.1 MB more
    # allocated in three minutes, all of it SQLite's page cache, which is bounded; 10 MB more
    # resident). So growth is judged without one; with one, leaks are.
    instrumented = options.preset in ("asan-ubsan", "tsan")
    with World() as world:
        world.application("app", exact=[NAME], limits={"orders_per_day": 1000000})
        world.write_config()
        with open(world.config, "a", encoding="ascii") as file:
            file.write("audit:\n  key: audit-1\n  origin: soak.dept.example.edu/acmeward\n"
                       "  export: none\n")
        world.start_ready()
        world.admin("audit", "key", "create")
        world.certonly(NAME)
        gates = {"applications", "administrators"}
        wait_until("the gates", lambda: gates <= set(processes(world.signer.pid)))
        time.sleep(1)
        before = measure(world)
        load, samples = work(world, options.minutes * 60)
        wrong = list(load.faults)
        print(dict(load.counts))
        if world.signer.poll() is None:
            time.sleep(3)
            wrong += judge(samples, before, measure(world), not instrumented)
            world.stop_signer(signal.SIGTERM)
            run([ADMIN, "--config", world.config, "audit", "verify"], seconds=VERIFY_SECONDS)
            print("log verified")
        log = world.log()
        wrong += [line for line in log.splitlines() if "Sanitizer" in line or "runtime error" in line]
        for line in wrong:
            print("WRONG:", line)
        if wrong and options.keep_log:
            with open(options.keep_log, "w", encoding="utf-8") as file:
                file.write(log)
        return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="dev")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("kill")
    one.add_argument("rounds", type=int)
    one.add_argument("--seed", type=int, default=int(time.time()))
    one.set_defaults(run=kill)
    one = commands.add_parser("load")
    one.add_argument("--minutes", type=float, default=30)
    one.add_argument("--keep-log", help="where to put the signer's messages if something is wrong")
    one.set_defaults(run=load_run)
    for sub in commands.choices.values():
        sub.add_argument("--preset", default="dev")
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
