#!/usr/bin/python3
"""renew at scale: many stored certificates with nothing due, and many renewals at a time.

    python3 tests/bench/renewal.py                      10,000 stored; nothing due
    python3 tests/bench/renewal.py --stored 1000 --renewals 1000 --jobs 4    and orders them by force

Stored certificates are one, copied, with a name of its own in the settings of each: what is read
and compared is the same. Renewals are real: Pebble, SoftHSM, a signer, each certificate with a name
of its own. Set ACMEWARD_BUILD to measure a build (default build/release).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("ACMEWARD_BUILD", os.path.join(PROJECT, "build", "release"))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(PROJECT, "tests", "e2e"))

from world import World, environment, run  # noqa: E402

BASE = "bench.dept.example.edu"
KINDS = ("cert", "chain", "fullchain", "privkey")


def measure(command):
    """Seconds, CPU seconds and peak MiB of one command, its children's besides."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=environment())
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"status {process.returncode}: {text.decode()}")
    return (time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024,
            json.loads(text))


def store_many(root, count):
    """Copies of one certificate with its settings, under names of their own."""
    with open(f"{root}/renewal/first.conf", encoding="ascii") as file:
        settings = file.read()
    for i in range(count):
        name = f"copy{i}"
        os.mkdir(f"{root}/archive/{name}", 0o755)
        os.mkdir(f"{root}/live/{name}", 0o755)
        for kind in KINDS:
            os.link(f"{root}/archive/first/{kind}1.pem", f"{root}/archive/{name}/{kind}1.pem")
            os.symlink(f"../../archive/{name}/{kind}1.pem", f"{root}/live/{name}/{kind}.pem")
        with open(f"{root}/renewal/{name}.conf", "w", encoding="ascii") as file:
            file.write(settings)


def nothing_due(world, count, rounds):
    root = world.path("client")
    world.certonly(f"first.{BASE}", words=("--cert-name", "first"))
    store_many(root, count)
    command = world.client_command("renew", "--json", "--no-random-sleep-on-renew")
    first = measure(command)
    later = [measure(command) for _ in range(rounds)]
    for row in (first, *later):
        if row[3]["not_due"] != count + 1:
            raise RuntimeError(f"something is due: {row[3]}")
    print(f"{count + 1} stored, nothing due, first look (reads all): {first[0]:.2f} s "
          f"(CPU {first[1]:.2f} s), {first[2]:.0f} MiB")
    print(f"{count + 1} stored, nothing due, later: {statistics.median(r[0] for r in later):.2f} s "
          f"(CPU {statistics.median(r[1] for r in later):.2f} s), {max(r[2] for r in later):.0f} MiB "
          "(targets: 1 s, 50 MiB)")


def renewals(world, count, jobs):
    for i in range(count):
        world.client("certonly", "-d", f"n{i}.{BASE}", "--cert-name", f"n{i}", "--webroot", "-w",
                     world.folder, name="many")
    command = world.client_command("renew", "--json", "--no-random-sleep-on-renew",
                                   "--force-renewal", "--jobs", str(jobs), name="many")
    seconds, cpu, mib, report = measure(command)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if len(report["renewed"]) != count:
        raise RuntimeError(f"{len(report['renewed'])} of {count} renewed: {report['failed'][:3]}")
    print(f"{count} renewed, {jobs} at a time: {seconds:.1f} s, {seconds / count * 1000:.0f} ms each, "
          f"{cpu / count * 1000:.0f} ms of CPU; "
          f"{mib:.0f} MiB (largest process {children:.0f} MiB)")
    run(world.client_command("certificates", "--json", name="many"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", type=int, default=10000)
    parser.add_argument("--renewals", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with World() as world:
        world.application("app", subdomains_of=[BASE], limits={"orders_per_day": 100000})
        world.start()
        nothing_due(world, options.stored, options.rounds)
        if options.renewals > 0:
            renewals(world, options.renewals, options.jobs)


if __name__ == "__main__":
    main()
