#!/usr/bin/python3
"""One command, one table: what acmeward costs, as ratios within one run.

    python3 tests/bench/run.py            builds the release preset if need be; some minutes
    python3 tests/bench/run.py --quick    tiny numbers: shows that it runs, not what it costs
    python3 tests/bench/run.py signatures issuance    only these parts
    python3 tests/bench/run.py aged records ledgers --records 1000 100000 10000000    minutes, gigabytes

Set ACMEWARD_BUILD to measure another build. What is compared is measured in turns, in many
short rounds; a ratio is made within each round, and the table shows its median and its extremes.
What the figures mean and what was found: docs/performance.md.
"""

import argparse
import dataclasses
import os
import sys
import tempfile

sys.dont_write_bytecode = True
import programs  # noqa: E402

LENGTHS = ("records", "ledgers")    # parts that need no signer
DISK = "/var/tmp"   # persistent by the FHS, so most often a disk; /tmp may be a tmpfs


@dataclasses.dataclass
class Plan:
    """How much is measured."""
    quick: bool
    parts: list
    seconds: float = 0.3
    rounds: int = 15
    threads: tuple = (1, 4, 16)
    issues: int = 15
    neighbour_seconds: float = 1.5
    records: tuple = ()     # lengths of the logs, rows of the ledgers that are made


def read_plan():
    parts = ("signatures", "policies", "applications", "aged", "issuance", "relayed",
             "neighbours", *LENGTHS)
    parser = argparse.ArgumentParser(description="Measures acmeward and prints a table of ratios.")
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help=f"of {', '.join(parts)}; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see it run")
    parser.add_argument("--seconds", type=float, help="of one measurement (default 0.3)")
    parser.add_argument("--rounds", type=int, help="default 15")
    parser.add_argument("--records", type=int, nargs="+", default=(),
                        help="lengths of the logs of the part records, rows of the part ledgers, both of"
                        " the part aged (default 1000 100000)")
    options = parser.parse_args()
    for part in options.parts:
        if part not in parts:
            parser.error(f"there is no part {part}, but {', '.join(parts)}")
    plan = Plan(options.quick, options.parts or list(parts), records=tuple(options.records))
    if options.quick:
        plan.seconds, plan.rounds, plan.issues = 0.05, 1, 2
        plan.neighbour_seconds = 0.05
    plan.seconds = options.seconds or plan.seconds
    plan.rounds = options.rounds or plan.rounds
    return plan


def describe(folder):
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.environ['ACMEWARD_BUILD']}; {os.cpu_count()} cores, load {load};"
          f" disk {DISK} ({programs.file_system(DISK)}), append and fdatasync"
          f" {programs.sync_seconds(folder, 200) * 1e6:.0f} us\n")


def measure(plan, table):
    import aged
    import applications
    import issuance
    import ledgers
    import neighbours
    import policies
    import records
    import relayed
    import signatures

    if "records" in plan.parts:
        records.report(table, records.measure(plan))
    if "ledgers" in plan.parts:
        ledgers.report(table, ledgers.measure(plan))
    if "relayed" in plan.parts:
        relayed.report(table, relayed.measure(plan))
    if set(plan.parts) <= {"relayed", *LENGTHS}:
        return
    with signatures.BenchWorld() as world:
        world.start()
        describe(world.folder)
        if "signatures" in plan.parts:
            signatures.report(table, signatures.measure(world, plan), plan)
        if "policies" in plan.parts:
            policies.report(table, policies.measure(plan), policies.measure_signer(world, plan))
        if "applications" in plan.parts:
            applications.report(table, applications.measure(world, plan))
        if "aged" in plan.parts:
            aged.report(table, aged.measure(world, plan))
        if "neighbours" in plan.parts:
            neighbours.report(table, neighbours.measure(world, plan))
        if "issuance" in plan.parts:
            issuance.report(table, issuance.measure(world, plan))


def main():
    plan = read_plan()
    programs.prepare()
    from table import Table

    tempfile.tempdir = DISK
    table = Table(judge=not plan.quick)
    measure(plan, table)
    table.print()
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


main()
