"""What a signature costs the signer by the number of applications in its policy."""

import contextlib
import os
import shutil

import programs
from policies import written
from signatures import ACCOUNT, Bench, Variant, read, replace, write
from table import Series

SIZES = (10, 1000, 10000)
SIZES_QUICK = (2, 4)
NAMES = 100         # of each application
ROUNDS_MAX = 15


class Crowded(Variant):
    """A signer whose policy has many applications besides the one that asks."""

    def __init__(self, world, applications):
        super().__init__(world, f"crowd{applications}")
        self.policy = written((applications, NAMES), "--user", world.user)
        own = world.path("etc", "policy.d")
        for entry in os.scandir(self.policy):
            write(entry.path, replace(read(entry.path), "account: bench", "account: " + ACCOUNT))
        for name in os.listdir(own):
            shutil.copy(os.path.join(own, name), os.path.join(self.policy, "own-" + name))
        os.chmod(self.policy, 0o755)
        write(self.config, replace(read(self.config), own, self.policy))

    def __exit__(self, *details):
        super().__exit__(*details)
        shutil.rmtree(self.policy)


def measure(world, plan):
    """{applications: [what a signature took the signer's processes, in each round]}"""
    sizes = SIZES_QUICK if plan.quick else SIZES
    bench = Bench(world, plan.seconds)
    with contextlib.ExitStack() as stack:
        signers = {size: stack.enter_context(Crowded(world, size)) for size in sizes}
        for _ in range(min(plan.rounds, ROUNDS_MAX)):
            for size, signer in signers.items():
                bench.signer(signer, size, 1)
    return {size: bench.series(size, 1, "signer_cpu_us") for size in sizes}


def report(table, results):
    sizes = list(results)
    table.section("Signer, by its applications (1 client, log on tmpfs)")
    first = results[sizes[0]]
    table.add(f"a signature, {sizes[0]:,} applications", "us of CPU", first, "%.0f")
    for size in sizes[1:]:
        table.add(f"a signature, {size:,} applications", "that", results[size].over(first))
