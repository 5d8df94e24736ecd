"""One certificate, pre-validated, by the client and by the floor of bare requests."""

import subprocess
import time

import floor
from signatures import APPLICATION
from table import Series, Target

from world import CLIENT, environment

CLIENT_NAME = "client.bench.dept.example.edu"
FLOOR_NAME = "floor.bench.dept.example.edu"
FURTHER = 5     # certificates that one renew has beyond the first


def requests_so_far(world):
    return world.ca.log().count("-> calling handler()")


def timed(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(),
                          stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return seconds


def issue_by_client(world):
    """Seconds of the whole process, from its start to its end, and requests that the CA saw."""
    before = requests_so_far(world)
    seconds = timed(world.client_command(
        "certonly", "-d", CLIENT_NAME, "--application", APPLICATION, "--webroot", "-w",
        world.folder, "--force-renewal"))
    return seconds, requests_so_far(world) - before


def store(world, name, count):
    """A configuration folder of that name with so many certificates, for renew."""
    for i in range(count):
        host = f"{name}{i}.bench.dept.example.edu"
        world.certonly(host, words=("--application", APPLICATION, "--cert-name", f"c{i}"),
                       name=name)


def renew(world, name):
    """Seconds of a renew that renews all that is stored, one after the other; its requests."""
    before = requests_so_far(world)
    seconds = timed(world.client_command("renew", "--force-renewal", "--jobs", "1",
                                         "--no-random-sleep-on-renew", name=name))
    return seconds, requests_so_far(world) - before


def renew_further(world):
    """What one certificate more costs a renew: that of several less that of one, shared."""
    one, more = renew(world, "one"), renew(world, "more")
    return tuple((b - a) / FURTHER for a, b in zip(one, more))


def measure(world, plan):
    account = floor.Account(world.ca, world.folder)
    account.register()
    account.validate(FLOOR_NAME)
    world.certonly(CLIENT_NAME, words=("--application", APPLICATION))
    store(world, "one", 1)
    store(world, "more", 1 + FURTHER)
    results = {"floor": [], "client": [], "start": [], "floor further": [], "further": []}
    for _ in range(plan.issues):
        results["floor"].append(account.issue(FLOOR_NAME, account.make_csr(FLOOR_NAME)))
        results["client"].append(issue_by_client(world))
        results["start"].append((timed([CLIENT, "--version"]), 0))
        results["floor further"].append(
            account.issue_further(FLOOR_NAME, account.make_csr(FLOOR_NAME)))
        results["further"].append(renew_further(world))
    return results


def report(table, results):
    table.section("One certificate, pre-validated")
    seconds = {name: Series(row[0] * 1000 for row in rows) for name, rows in results.items()}
    requests = {name: Series(row[1] for row in rows) for name, rows in results.items()}
    table.add("floor: bare requests on one connection", "ms", seconds["floor"], "%.1f")
    table.add("  its requests", "number", requests["floor"], "%.0f")
    table.add("acmeward certonly, the whole process", "that floor",
              seconds["client"].over(seconds["floor"]), target=Target("at most 1.1", most=1.1))
    table.add("  its time", "ms", seconds["client"], "%.1f")
    table.add("  its requests", "number", requests["client"], "%.0f")
    table.add("acmeward --version: a process, doing nothing", "that floor",
              seconds["start"].over(seconds["floor"]))
    table.add("floor of a further one: directory, nonce, connection at hand", "ms",
              seconds["floor further"], "%.1f")
    table.add("  its requests", "number", requests["floor further"], "%.0f")
    table.add("one certificate more in a renew, one at a time", "that floor",
              seconds["further"].over(seconds["floor further"]),
              target=Target("at most 1.1", most=1.1))
    table.add("  its time", "ms", seconds["further"], "%.1f")
    table.add("  its requests", "number", requests["further"], "%.1f")
