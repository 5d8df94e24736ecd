"""What one uid at its limits does to another application's 99th percentile."""

import contextlib
import os
import pwd
import subprocess
import time

import programs
from signatures import APPLICATION, NAME, Main, Variant
from table import Series, Target

from world import CALL_SECONDS

GREEDY = "greedy"               # the application of the uid at its limits
USER = "daemon"                 # that uid
THEIRS = "host.greedy.dept.example.edu"
CLIENTS = 4                     # of the application that is measured
LIMIT = 64                      # GATE_CONNECTIONS_PER_UID_MAX of signer/gate.h
SETTLE = 0.3                    # seconds until the other uid is at its limits
AS_USER = ("setpriv", "--pdeathsig", "KILL", f"--reuid={USER}",
           f"--regid={pwd.getpwnam(USER).pw_gid}", "--clear-groups")
# The load comes from programs that are no part of the signer: what they take of the two processors
# is not what is asked here, so the system is told that they are less important.
POLITE = ("nice", "-n", "19")

# Holds all connections that the uid may have, and dials on: each more is told so.
KNOCKER = f"""
import socket, sys
def dial():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    return s
held = [dial() for _ in range({LIMIT})]
while True:
    with dial() as one:
        one.recv(4096)
"""

# Connects and hangs up: nothing of it is open.
CALLER = """
import socket, sys
while True:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(sys.argv[1])
"""


def load(words, greedy):
    """The other uid's program, while the block runs; it must last as long."""
    @contextlib.contextmanager
    def running(signer, origin):
        command = [*AS_USER, *POLITE, *words(signer, origin)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                time.sleep(SETTLE)
                yield
                if process.poll() is not None:
                    raise RuntimeError(f"{greedy} ended: {process.stderr.read().decode()}")
            finally:
                process.kill()
    return running


def bench_words(signer, origin, name, *more):
    return (programs.bench_path("bench_signer"), "--socket", signer.socket, "--application", GREEDY,
            "--name", name, "--origin", origin, "--threads", str(LIMIT),
            "--seconds", str(CALL_SECONDS), *more)


LOADS = {
    "holds 64 connections and dials on": load(
        lambda signer, origin: ("/usr/bin/python3", "-c", KNOCKER, signer.socket), "the dialler"),
    "connects and hangs up without end": load(
        lambda signer, origin: ("/usr/bin/python3", "-c", CALLER, signer.socket), "the caller"),
    "64 signatures in flight": load(
        lambda signer, origin: bench_words(signer, origin, THEIRS), "bench_signer"),
    "64 requests in flight, all refused": load(
        lambda signer, origin: bench_words(signer, origin, NAME, "--ask", "refusals"), "bench_signer"),
    "64 claims in flight, all known": load(
        lambda signer, origin: bench_words(signer, origin, THEIRS, "--ask", "claims"),
        "bench_signer"),
    "64 invalid calls in flight": load(
        lambda signer, origin: bench_words(signer, origin, THEIRS, "--ask", "invalid"),
        "bench_signer"),
    "64 descriptions in flight": load(
        lambda signer, origin: bench_words(signer, origin, THEIRS, "--ask", "descriptions"),
        "bench_signer"),
}


def one(signer, origin, seconds):
    return programs.bench(
        "bench_signer", "--socket", signer.socket, "--application", APPLICATION, "--name", NAME,
        "--origin", origin, "--threads", str(CLIENTS), "--seconds", str(seconds))["p99_us"]


def measure(world, plan):
    """Per token and load: the percentiles without and with it, round by round. Needs root."""
    if os.geteuid() != 0:
        return None
    world.application(GREEDY, user=USER, subdomains_of=["greedy.dept.example.edu"],
                      limits={"orders_per_day": 1000000})
    world.admin("reload")
    found = {}
    with Variant(world, "neighbours", module=programs.bench_path("slow_token.so")) as slow:
        for _ in range(plan.rounds):
            for token, signer in (("SoftHSM", Main(world)), ("token of 5 ms", slow)):
                for what, running in LOADS.items():
                    alone = one(signer, world.ca.origin, plan.neighbour_seconds)
                    with running(signer, world.ca.origin):
                        beside = one(signer, world.ca.origin, plan.neighbour_seconds)
                    found.setdefault((token, what), []).append((alone, beside))
    return found


def report(table, found):
    if found is None:
        return table.section("Another uid at its limits: needs root")
    table.section(f"99th percentile of {CLIENTS} clients beside another uid at its limits (ratio)")
    for (token, what), pairs in found.items():
        alone = Series(pair[0] for pair in pairs)
        table.add(f"{token}, {what}", f"alone ({alone.median / 1000:.1f} ms)",
                  Series(pair[1] for pair in pairs).over(alone), "%.2f",
                  target=Target("at most 2", most=2))
