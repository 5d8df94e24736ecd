#!/usr/bin/python3
"""Requests per second of the relay's directory and nonces, held against libevent and OpenSSL with
one static answer; and a thousand clients at once.

`python3 tests/bench/relay.py [SECONDS]`, with ACMEWARD_BUILD naming a release build. Load and server
share the machine's cores, the relay's as the floor's. The signer is a stand-in that gives nonces at
once: its own figures are elsewhere.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from relay_server import RelayServer  # noqa: E402
from world import BUILD, free_ports  # noqa: E402

PROGRAM = os.path.join(BUILD, "tests", "bench", "bench_https")
CONNECTIONS = 50
CROWD = 1000


def load(port, method, path, connections, seconds):
    """(requests a second, failures)"""
    done = subprocess.run([PROGRAM, "load", str(port), method, path, str(connections),
                           str(seconds)], capture_output=True, text=True, check=True)
    asked, failed, milliseconds = map(int, done.stdout.split("\n")[-2].split())
    return asked * 1000 / milliseconds, failed


def memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0]) / 1024


def measure(seconds):
    relay = RelayServer({"connections_per_address": 256}).start()
    port, = free_ports(1)
    floor = subprocess.Popen([PROGRAM, "serve", str(port), relay.path("server.pem"),
                              relay.path("server.key")], stdout=subprocess.PIPE)
    try:
        floor.stdout.readline()
        least, _ = load(port, "GET", "/directory", CONNECTIONS, seconds)
        print(f"floor      {least:8.0f} requests/s")
        for name, method, path in (("directory", "GET", "/directory"),
                                   ("new-nonce", "HEAD", "/acme/new-nonce")):
            rate, failed = load(relay.port, method, path, CONNECTIONS, seconds)
            print(f"{name}  {rate:8.0f} requests/s, {rate / least:.2f} of the floor, "
                  f"{failed} failed")
        before = memory_mib(relay.process.pid)
        rate, failed = load(relay.port, "HEAD", "/acme/new-nonce", CROWD, max(seconds, 5))
        print(f"{CROWD} clients at once: {rate:.0f} requests/s, {failed} failed; "
              f"{memory_mib(relay.process.pid) - before:.0f} MiB more than before, "
              f"{memory_mib(relay.process.pid):.0f} MiB in all")
        return failed
    finally:
        floor.kill()
        floor.wait()
        floor.stdout.close()
        relay.close()


if __name__ == "__main__":
    sys.exit(1 if measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5) else 0)
