"""What the audit log costs by its length: append and commit, start, proof."""

import shutil
import tempfile

import programs
from table import Series

SIZES = (1000, 100000)
SIZES_QUICK = (300, 600)
SAMPLES, PROOFS = 100, 50
ROUNDS_MAX = 15


def run(folder, mode, count):
    return programs.bench("bench_audit", mode, "--folder", folder, "--records", str(count))


def measure_size(folder, plan):
    """Opening and proving take marks and index away, and put them back: once is enough."""
    return {**run(folder, "open", 1), **run(folder, "prove", 5 if plan.quick else PROOFS)}


def measure(plan):
    """{size: (what was measured once, [what each round of commits took])}"""
    sizes = tuple(plan.records) if plan.records else SIZES_QUICK if plan.quick else SIZES
    folders = {size: tempfile.mkdtemp(prefix="aw-bench-") for size in sizes}
    commits = {size: [] for size in sizes}
    try:
        for size, folder in folders.items():
            run(folder, "fill", size)
        for _ in range(min(plan.rounds, ROUNDS_MAX)):
            for size, folder in folders.items():
                commits[size].append(run(folder, "commit", 20 if plan.quick else SAMPLES))
        return {size: (measure_size(folder, plan), commits[size])
                for size, folder in folders.items()}
    finally:
        for folder in folders.values():
            shutil.rmtree(folder)


def report(table, results):
    sizes = list(results)
    table.section("Audit log, by its length (log on disk)")
    commits = {name: {size: Series(done[name] for done in results[size][1]) for size in sizes}
               for name in ("commit_us", "cpu_us")}
    for name, words in (("commit_us", "append and commit"), ("cpu_us", "  its CPU")):
        first = commits[name][sizes[0]]
        table.add(f"{words}, {sizes[0]:,} records", "us", first, "%.0f")
        for size in sizes[1:]:
            table.add(f"{words}, {size:,} records", "that", commits[name][size].over(first))
    for size in sizes:
        once = results[size][0]
        for words, name, scale in (("start, with marks", "marked_seconds", 1e3),
                                   ("start, without", "full_seconds", 1e3),
                                   ("a proof, from the index", "index_us", 1e-3),
                                   ("a proof, by the walk", "walk_us", 1e-3)):
            table.add(f"{words}, {size:,} records", "ms of CPU", Series([once[name] * scale]), "%.2f")
