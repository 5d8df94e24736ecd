#!/usr/bin/python3
"""Where the CPU time of one signature goes: samples of the stacks of all the signer's processes.

    python3 tests/bench/profile.py [--clients N] [--seconds S] [--log disk|tmpfs] [--raw]

A sample belongs to the innermost function that WHERE names; one of a gate to GATE's. perf (Debian's linux-perf) must be
allowed to see the process: root, or kernel.perf_event_paranoid at most 1. Sampling costs time
itself, so shares are right and rates are not: for these, run.py.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import programs  # noqa: E402

HERTZ = 1999
MARGIN = 0.7        # seconds before and after the recording
STACK = 8192        # octets of it that a sample keeps
POOL = "token: pool of sessions"
# Function, and what its time is called; the first match of a frame, from the innermost outwards.
WHERE = tuple((re.compile(pattern), name) for pattern, name in (
    (r"C_SignInit", "token: C_SignInit"),
    (r"C_Sign", "token: C_Sign"),
    (r"sqlite3_.*|ledger_db_.*", "ledger: SQLite"),
    (r"ledger_.*", "ledger: rules"),
    (r"audit_record_write", "audit: write a record"),
    (r"audit_hasher_line", "audit: SHA-256 of a record"),
    (r"audit_file_append", "audit: write and fdatasync"),
    (r"audit_file_check", "audit: is the file the same"),
    (r"audit_log_wait", "audit: wait until durable"),
    (r"audit_.*|writer_main", "audit: queue, wake up"),
    (r"aw_varlink_receive", "socket: receive"),
    (r"aw_varlink_send", "socket: send"),
    (r"aw_varlink_call_parse", "request: JSON"),
    (r"sign_request_parse", "request: members, names, URLs"),
    (r"policy_.*", "policy"),
    (r"jws_.*", "JWS: header, base64url, reply"),
    (r"EVP_Digest", "SHA-256 of the signing input"),
    (r"token_.*", POOL),
    (r"work_check_url", "URL checks"),
    (r"work_.*", "record: fill in"),
    (r"authorize", "contract: the rest"),
    (r"answer|service_.*|aw_varlink_reply.*", "reply: JSON"),
    (r"serve", "connection: the rest"),
))


GATE = tuple((re.compile(pattern), "gate: " + name) for pattern, name in (
    (r"aw_varlink_receive", "receive from the client"),
    (r"aw_varlink_call_parse", "JSON"),
    (r"channel_encode.*", "typed message"),
    (r"channel_send", "send to the core"),
    (r"serve|serve_one", "the rest"),
))


def read_options():
    parser = argparse.ArgumentParser(description="Profiles the signer's process.")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--log", choices=("disk", "tmpfs"), default="disk")
    parser.add_argument("--raw", action="store_true", help="stacks that nothing in WHERE matches")
    return parser.parse_args()


def samples(path):
    """(process, stack), the stack's innermost frame first, as (function, file)."""
    script = subprocess.Popen(["perf", "script", "--no-inline", "-i", path, "-F", "pid,ip,sym,dso"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process, stack = None, []
    for line in script.stdout:
        words = line.split(maxsplit=1)
        if len(words) == 1:
            process = int(words[0])
        elif words:
            function, _, file = words[1].strip().rpartition(" (")
            stack.append((function, file.rstrip(")")))
        elif stack:
            yield process, stack
            stack = []
    script.wait()


def place_of(stack, table):
    name = next((name for function, _ in stack for pattern, name in table
                 if pattern.fullmatch(function)), None)
    # EVP_PKEY_verify ends in a jump to its provider, so no frame has its name.
    if name == POOL and any("libcrypto" in file for _, file in stack):
        return "verification"
    return name


def sample(signer, world, options):
    """Samples, each with the table of its process, and beside them the rate and the CPU.

    Recording begins when the connections are there, since perf misses threads that start later.
    """
    import signatures

    path = os.path.join(world.folder, "perf.data")
    bench = signatures.Bench(world, options.seconds + 2 * MARGIN)
    load = threading.Thread(target=bench.signer, args=(signer, "signer", options.clients))
    load.start()
    time.sleep(MARGIN)
    done = subprocess.run(
        ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "--call-graph",
         f"dwarf,{STACK}", "-p", ",".join(map(str, programs.family(signer.pid))), "-o", path,
         "sleep", str(options.seconds)], capture_output=True, text=True, check=False)
    load.join()
    if done.returncode != 0:
        sys.exit(f"perf record failed: {done.stderr}")
    stacks = [(WHERE if process == signer.pid else GATE, stack) for process, stack in samples(path)]
    return stacks, bench.results["signer", options.clients][0]


def report(stacks, result, raw):
    total = collections.Counter()
    kernel = collections.Counter()
    for table, stack in stacks:
        name = place_of(stack, table) or ("gate: elsewhere" if table is GATE else "elsewhere")
        if raw and name.endswith("elsewhere"):
            print(" < ".join(function for function, _ in stack))
        total[name] += 1
        kernel[name] += stack[0][1].startswith("[")
    cpu = result["signer_cpu_us"]
    print(f"{len(stacks)} samples; {result['per_second']:.0f} signatures a second,"
          f" {cpu:.0f} us of CPU each (sampling included)\n")
    print(f"{'where':34}{'share':>8}{'us':>8}{'of it kernel':>14}")
    for name, count in total.most_common():
        print(f"{name:34}{100 * count / len(stacks):7.1f}%{cpu * count / len(stacks):8.1f}"
              f"{100 * kernel[name] / count:13.0f}%")


def main():
    options = read_options()
    programs.prepare()
    import signatures

    tempfile.tempdir = "/var/tmp"
    with signatures.BenchWorld() as world:
        world.start()
        if options.log == "disk":
            stacks, result = sample(signatures.Main(world), world, options)
        else:
            with signatures.Variant(world, "tmpfs") as signer:
                stacks, result = sample(signer, world, options)
    report(stacks, result, options.raw)


main()
