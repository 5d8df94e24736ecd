"""What a decision costs in the ledger, by its rows."""

import shutil
import tempfile

import programs
from table import Series

SIZES = (1000, 100000)
SIZES_QUICK = (300, 600)
CERTIFICATES = 200      # asked for in a round: seven requests each
ROUNDS_MAX = 5


def run(folder, mode, count):
    return programs.bench("bench_ledger", mode, "--folder", folder, "--records", str(count))


def measure(plan):
    """{size: [what each round took]}"""
    sizes = tuple(plan.records) if plan.records else SIZES_QUICK if plan.quick else SIZES
    folders = {size: tempfile.mkdtemp(prefix="aw-bench-") for size in sizes}
    results = {size: [] for size in sizes}
    try:
        for size, folder in folders.items():
            run(folder, "fill", size)
        for _ in range(min(plan.rounds, ROUNDS_MAX)):
            for size, folder in folders.items():
                results[size].append(run(folder, "measure", 5 if plan.quick else CERTIFICATES))
        return results
    finally:
        for folder in folders.values():
            shutil.rmtree(folder)


def report(table, results):
    sizes = list(results)
    table.section("Ledger, by its rows (ten a certificate; log on disk)")
    for member, words in (("submit_us", "a request: rules, record, rows"),
                          ("commit_us", "  with the last commit")):
        series = {size: Series(done[member] for done in results[size]) for size in sizes}
        table.add(f"{words}, {sizes[0]:,} rows", "us of CPU", series[sizes[0]], "%.1f")
        for size in sizes[1:]:
            table.add(f"{words}, {size:,} rows", "that", series[size].over(series[sizes[0]]))
    for size in sizes:
        table.add(f"start, {size:,} rows", "ms of CPU",
                  Series(done["open_seconds"] * 1e3 for done in results[size]), "%.1f")
