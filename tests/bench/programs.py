"""Finds, builds and runs the programs that are measured, and those that measure."""

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
TARGETS = ("acmeward-signer", "acmeward-gate", "acmeward", "acmeward-admin", "acmeward-relay",
           "softhsm-token", "bench_token",
           "bench_signer", "bench_policy", "bench_audit", "bench_ledger", "slow_token")
CPUCLOCK_SCHED = 2      # of a whole process: linux/posix-timers_types.h


def prepare():
    """The build folder: ACMEWARD_BUILD's as it is, or the release preset's, brought up to date."""
    if "ACMEWARD_BUILD" not in os.environ:
        os.environ["ACMEWARD_BUILD"] = os.path.join(PROJECT, "build", "release")
        for command in (["cmake", "--preset", "release"],
                        ["cmake", "--build", "--preset", "release", "--target", *TARGETS]):
            done = subprocess.run(command, cwd=PROJECT, text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                sys.exit(f"{done.stdout}\nrun.py: {' '.join(command)} failed")
    sys.path.insert(0, os.path.join(PROJECT, "tests", "e2e"))
    return os.environ["ACMEWARD_BUILD"]


def bench_path(name):
    return os.path.join(os.environ["ACMEWARD_BUILD"], "tests", "bench", name)


def bench(program, *words, env=None):
    """Runs a bench program; what its line of JSON says."""
    done = subprocess.run([bench_path(program), *words], capture_output=True, text=True,
                          check=False, env=env)
    if done.returncode != 0:
        sys.exit(f"{program} {' '.join(words)}: status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout) if done.stdout else None


def cpu_seconds(pid):
    """User and system time of a process, all its threads, so far.

    What clock_getcpuclockid(3) gives; /proc/PID/stat has the same in hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def family(pid):
    """A process and all that it has started, and these, as long as they run."""
    found = [pid]
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += family(int(child))
        except FileNotFoundError:   # it has ended
            pass
    return found


def cpu_seconds_of_all(pid):
    return sum(cpu_seconds(one) for one in family(pid))


def status_octets(pid, name):
    """A size in /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise LookupError(name)


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True,
                          check=True).stdout.strip()


def sync_seconds(folder, count):
    """Median of an append of one record's size and its fdatasync: what durability costs here."""
    path = os.path.join(folder, "sync")
    times = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(count):
            start = time.perf_counter()
            file.write(b"x" * 600)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    os.unlink(path)
    return sorted(times)[count // 2]
