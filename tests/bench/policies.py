"""Policy decisions, loading and memory, by the number of names and applications."""

import os
import shutil
import tempfile

import programs
from table import Series, Target

SIZES = ((1, 10), (10, 100), (1000, 100), (10000, 100))     # applications, names of each
SIZES_QUICK = ((1, 10), (10, 100))
ROUNDS_MAX = 7      # loading the largest takes seconds
MEBIBYTE = 1024 * 1024


def written(size, *words):
    """A folder of policies."""
    folder = tempfile.mkdtemp(prefix="aw-bench-")
    applications, names = size
    programs.bench("bench_policy", "write", "--folder", folder, "--applications",
                   str(applications), "--names", str(names), *words)
    return folder


def measure(plan):
    """{size: [what bench_policy says, in each round]}"""
    sizes = SIZES_QUICK if plan.quick else SIZES
    folders = {size: written(size) for size in sizes}
    results = {size: [] for size in sizes}
    try:
        for _ in range(min(plan.rounds, ROUNDS_MAX)):
            for size, folder in folders.items():
                results[size].append(programs.bench(
                    "bench_policy", "measure", "--folder", folder, "--applications", str(size[0]),
                    "--names", str(size[1]), "--seconds", str(plan.seconds)))
    finally:
        for folder in folders.values():
            shutil.rmtree(folder)
    return results


def measure_signer(world, plan):
    """Anonymous memory of a signer that holds the largest policy, in octets, and its baseline."""
    size = (SIZES_QUICK if plan.quick else SIZES)[-1]
    place = world.path("etc", "policy.d")
    small = programs.status_octets(world.signer.pid, "RssAnon")
    world.stop_signer()
    kept = place + ".kept"
    os.rename(place, kept)
    folder = written(size, "--user", world.user)
    try:
        for entry in os.scandir(folder):
            with open(entry.path, encoding="ascii") as file:
                text = file.read().replace("account: bench", "account: loopback-ov")
            with open(entry.path, "w", encoding="ascii") as file:
                file.write(text)
        shutil.move(folder, place)
        os.chmod(place, 0o755)
        world.start_signer()
        large = programs.status_octets(world.signer.pid, "RssAnon")
        world.stop_signer()
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.rename(kept, place)
    world.start_signer()
    return size, small, large


def text_of(size):
    applications, names = size
    plural = "" if applications == 1 else "s"
    return f"{applications * names:,} names, {applications:,} application{plural}"


def report(table, results, memory):
    sizes = list(results)
    series = {size: {member: Series(result[member] for result in results[size])
                     for member in results[size][0]} for size in sizes}
    table.section("Policy decisions (a request of one name)")
    first = series[sizes[0]]
    table.add(text_of(sizes[0]), "ns a decision, warm", first["warm_ns"], "%.0f")
    for size in sizes[1:]:
        table.add(text_of(size), "that, warm", series[size]["warm_ns"].over(first["warm_ns"]))
    table.add(text_of(sizes[0]), "ns, 65,536 different requests", first["wide_ns"], "%.0f")
    for size in sizes[1:]:
        table.add(text_of(size), "that, 65,536 different requests",
                  series[size]["wide_ns"].over(first["wide_ns"]))
    table.section("Policy: loading and memory")
    for size in sizes[1:]:
        count = size[0] * size[1]
        table.add(f"load {text_of(size)}", "us a name",
                  Series(v * 1e6 / count for v in series[size]["load_seconds"].values))
        table.add("  snapshot", "octets a name",
                  Series(v / count for v in series[size]["memory"].values), "%.0f")
    size, small, large = memory
    table.add("signer, a policy of one application", "MiB of its own", Series([small / MEBIBYTE]),
              "%.1f")
    table.add(f"signer, {text_of(size)}", "MiB of its own", Series([large / MEBIBYTE]), "%.1f",
              target=Target("under 64 MiB", most=64))
