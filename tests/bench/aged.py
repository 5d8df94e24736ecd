"""What a signature costs a whole signer by the records of its log and the rows of its ledger."""

import contextlib
import os

import programs
from signatures import Bench, Variant, read

SIZES = (1000, 100000)
SIZES_QUICK = (300, 600)
CLIENTS = 4
ROUNDS_MAX = 15


class Aged(Variant):
    """A signer that has so many records in its log, and as many rows in its ledger."""

    def __init__(self, world, size):
        super().__init__(world, f"aged{size}", place=None)   # where run.py has its files: a disk
        log = os.path.join(self.state, "audit")
        os.mkdir(log, 0o750)
        programs.bench("bench_ledger", "fill", "--folder", self.state, "--log", log,
                       "--records", str(size))

    def __enter__(self):
        super().__enter__()
        said = read(self.world.path(os.path.basename(self.config) + ".log"))
        if "the ledger" in said:    # made anew, or short of records: not what was to be measured
            raise RuntimeError(f"the signer did not take log and ledger as they are:\n{said}")
        return self


def measure(world, plan):
    """{size: [what each round took]}"""
    sizes = tuple(plan.records) if plan.records else SIZES_QUICK if plan.quick else SIZES
    bench = Bench(world, plan.seconds)
    with contextlib.ExitStack() as stack:
        signers = {size: stack.enter_context(Aged(world, size)) for size in sizes}
        for _ in range(min(plan.rounds, ROUNDS_MAX)):
            for size, signer in signers.items():
                bench.signer(signer, size, CLIENTS)
    return {size: {member: bench.series(size, CLIENTS, member)
                   for member in ("signer_cpu_us", "p50_us")} for size in sizes}


def report(table, results):
    sizes = list(results)
    table.section(f"Signer, by its records and rows ({CLIENTS} clients, log on disk)")
    for member, words, unit in (("signer_cpu_us", "a signature", "us of CPU"),
                                ("p50_us", "  one call", "us, median")):
        first = results[sizes[0]][member]
        table.add(f"{words}, {sizes[0]:,} records and rows", unit, first, "%.0f")
        for size in sizes[1:]:
            table.add(f"{words}, {size:,} records and rows", "that",
                      results[size][member].over(first))
