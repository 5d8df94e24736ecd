"""Signatures through the signer, against a bare loop on the same token with the same key."""

import os
import shutil
import signal
import subprocess
import tempfile

import programs
from table import Series, Target

from world import SIGNER, World, environment, wait_until, listens

NAME = "host.bench.dept.example.edu"
APPLICATION = "bench"
ACCOUNT = "loopback-ov"
SESSIONS = 16
MOST = 16           # clients in the rows with targets
TMPFS = "/dev/shm"


class BenchWorld(World):
    """A world whose application may order all day, and whose token has a session a client."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sessions = SESSIONS

    def start(self):
        self.application(APPLICATION, subdomains_of=["bench.dept.example.edu"],
                         limits={"orders_per_day": 1000000})
        super().start()

    def write_config(self, *arguments, **named):
        super().write_config(*arguments, **named)
        self.config_text = replace(read(self.config), "sessions: 4", f"sessions: {self.sessions}")
        write(self.config, self.config_text)


class Variant:
    """Another signer on the world's token and account: other state folder, other module."""

    def __init__(self, world, name, module=None, place=TMPFS):
        self.world = world
        self.socket = world.path("run", name + ".sock")
        self.state = tempfile.mkdtemp(prefix="aw-bench-", dir=place)
        self.config = world.path("etc", name + ".yaml")
        os.chmod(self.state, 0o750)
        for folder in ("cas", "accounts"):
            shutil.copytree(world.path("state", folder), os.path.join(self.state, folder))
        text = replace(world.config_text, world.path("state"), self.state)
        text = replace(text, world.socket, self.socket)
        text = replace(text, world.admin_socket, world.path("run", name + "-admin.sock"))
        if module is not None:
            text = replace(text, world.token["TOKEN_MODULE"], module)
        write(self.config, text)
        self.process = None

    def __enter__(self):
        with open(self.world.path(os.path.basename(self.config) + ".log"), "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", SIGNER, "--config", self.config], cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(SOFTHSM2_CONF=self.world.token["SOFTHSM2_CONF"]))
        wait_until("the second signer's socket", lambda: listens(self.socket)
                   or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise RuntimeError(read(log.name))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.state)

    @property
    def pid(self):
        return self.process.pid


class Main:
    """The world's own signer, seen as the variants are."""

    def __init__(self, world):
        self.socket = world.socket
        self.pid = world.signer.pid


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def replace(text, old, new):
    if old not in text:
        raise RuntimeError(f"the configuration has no {old}:\n{text}")
    return text.replace(old, new)


class Bench:
    """What is measured in each round, and its results."""

    def __init__(self, world, seconds):
        self.world = world
        self.seconds = seconds
        self.results = {}

    def keep(self, key, result):
        self.results.setdefault(key, []).append(result)

    def token(self, threads, verify=True, module=None, key=None):
        token = self.world.token
        words = ["--module", module or token["TOKEN_MODULE"], "--token", token["TOKEN_LABEL"],
                 "--pin-file", token["TOKEN_PIN_FILE"], "--label", "acmeward-account:" + ACCOUNT,
                 "--threads", str(threads), "--seconds", str(self.seconds)]
        self.keep(key or ("verify" if verify else "sign", threads),
                  programs.bench("bench_token", *words, *(["--verify"] if verify else []),
                                 env=environment(SOFTHSM2_CONF=token["SOFTHSM2_CONF"])))

    def signer(self, signer, key, threads):
        before = programs.cpu_seconds_of_all(signer.pid)
        result = programs.bench(
            "bench_signer", "--socket", signer.socket, "--application", APPLICATION, "--name", NAME,
            "--origin", self.world.ca.origin, "--threads", str(threads),
            "--seconds", str(self.seconds))
        result["signer_cpu_us"] = \
            (programs.cpu_seconds_of_all(signer.pid) - before) * 1e6 / result["operations"]
        self.keep((key, threads), result)

    def series(self, key, threads, member):
        return Series(result[member] for result in self.results[key, threads])

    def rate(self, key, threads):
        return self.series(key, threads, "per_second")


def measure(world, plan):
    """All rounds; in each of them what is compared stands side by side."""
    bench = Bench(world, plan.seconds)
    slow = programs.bench_path("slow_token.so")
    disk = Main(world)
    with Variant(world, "tmpfs") as tmpfs, Variant(world, "slow", module=slow) as slow_signer:
        for _ in range(plan.rounds):
            for threads in plan.threads:
                bench.token(threads, verify=False)
                bench.token(threads)
                bench.signer(disk, "disk", threads)
                bench.signer(tmpfs, "tmpfs", threads)
            bench.token(MOST, module=slow, key=("slow-verify", MOST))
            bench.signer(slow_signer, "slow", MOST)
    return bench


def counted(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def add_rates(table, bench, threads):
    floor = bench.rate("verify", threads)
    text = f"C_Sign and verify, {counted(threads, 'thread')}"
    table.add(text, "signatures a second", floor, "%.0f")
    table.add(f"C_Sign alone, {counted(threads, 'thread')}", text, bench.rate("sign", threads).over(floor))
    goal = Target("at least 0.6", least=0.6) if threads == MOST else None
    for key, what in (("disk", "log on disk"), ("tmpfs", "log on tmpfs")):
        table.add(f"signer, {counted(threads, 'client')}, {what}", text,
                  bench.rate(key, threads).over(floor), target=goal)


def add_costs(table, bench, threads):
    floor = bench.series("verify", threads, "cpu_us")
    alone = bench.series("sign", threads, "cpu_us")
    table.add(f"C_Sign and verify, {counted(threads, 'thread')}", "us of CPU", floor, "%.1f")
    table.add("  C_SignInit and C_Sign alone", "us of CPU", alone, "%.1f")
    for key, what in (("disk", "log on disk"), ("tmpfs", "log on tmpfs")):
        used = bench.series(key, threads, "signer_cpu_us")
        table.add(f"signer, {counted(threads, 'client')}, {what}", "that CPU", used.over(floor))
        table.add("  its own CPU", "us beyond that", used.minus(floor), "%.1f",
                  target=Target("at most 60 us", most=60))
        table.add("  the same", "C_Sign alone", used.minus(floor).over(alone))


def add_latency(table, bench, threads):
    floor = bench.series("verify", threads, "p50_us")
    table.add(f"C_Sign and verify, {counted(threads, 'thread')}", "us, median", floor, "%.1f")
    for key, what, goal in (("disk", "log on disk", None),
                            ("tmpfs", "log on tmpfs", Target("at most 150 us", most=150))):
        table.add(f"signer, {counted(threads, 'client')}, {what}", "us beyond that",
                  bench.series(key, threads, "p50_us").minus(floor), "%.1f",
                  target=goal if threads == 1 else None)


def report(table, bench, plan):
    table.section("Signatures a second (ratio)")
    for threads in plan.threads:
        add_rates(table, bench, threads)
    floor = bench.rate("slow-verify", MOST)
    table.add(f"token of 5 ms, 8 at a time, {MOST} threads", "signatures a second", floor, "%.0f")
    table.add(f"signer on it, {MOST} clients", "that token, bare",
              bench.rate("slow", MOST).over(floor), "%.3f",
              target=Target("at least 0.98", least=0.98))
    table.section("CPU of the signer's processes a signature")
    for threads in plan.threads:
        add_costs(table, bench, threads)
    table.section("Latency of one signature")
    for threads in plan.threads:
        add_latency(table, bench, threads)
