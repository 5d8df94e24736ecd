"""A whole acmeward in a folder of its own: token, CA, signer, policies, clients.

    with World() as world:
        world.application("app1", user=world.user, exact=["app1.dept.example.edu"])
        world.start()                       # signer up, CA pinned, EAB imported, account registered
        world.client("certonly", "-d", "app1.dept.example.edu", ...)

Everything lives under one temporary folder and listens on loopback or Unix sockets; processes are
stopped by number, and end with this process at the latest. Programs are taken from the folder that
ACMEWARD_BUILD names.
"""

import atexit
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(PROJECT, "softhsm-fixtures"))

from pebble import Pebble, free_ports, make_tls  # noqa: E402,F401

BUILD = os.environ.get("ACMEWARD_BUILD", os.path.join(PROJECT, "build", "dev"))
SIGNER = os.path.join(BUILD, "signer", "acmeward-signer")
CLIENT = os.path.join(BUILD, "client", "acmeward")
ADMIN = os.path.join(BUILD, "admin", "acmeward-admin")
TOKEN_TOOL = os.path.join(BUILD, "softhsm-fixtures", "softhsm-token")
START_SECONDS = 30
STOP_SECONDS = 20
CALL_SECONDS = 120
# Sanitizers need their options, and coverage its folder; nothing else of the caller's environment.
PASSED = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "GCOV_PREFIX")


class Failed(AssertionError):
    """A command ended otherwise than the test expects."""


class Done:
    """What a command did."""

    def __init__(self, command, process):
        self.command = command
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return (f"{shlex.join(self.command)}\nstatus {self.status}\n--- stdout\n{self.out}"
                f"--- stderr\n{self.err}")


def environment(**more):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    env.update({name: os.environ[name] for name in PASSED if name in os.environ})
    env.update(more)
    return env


def run(command, status=0, stdin=None, user=None, seconds=CALL_SECONDS, env=None):
    """Runs a command; `status` is what it must end with (None: anything)."""
    process = subprocess.run(
        command, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True, text=True, timeout=seconds, check=False, user=user,
        extra_groups=None if user is None else [], env=env or environment())
    done = Done(command, process)
    if status is not None and done.status != status:
        raise Failed(f"expected status {status}:\n{done!r}")
    return done


def wait_until(what, condition, seconds=START_SECONDS, pause=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s in vain for: {what}")
        time.sleep(pause)


def listens(path):
    """Whether somebody takes connections: a socket's file may be left over from a killed signer."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
            return True
        except OSError:
            return False


class SharedCa:
    """One CA for those worlds of a test program that want nothing of their own of it: Pebble makes
    two RSA keys before it answers, half a second of CPU. Each world's accounts, and with them its
    orders and authorizations, are its own."""

    OPTIONS = {"always_valid": True}
    running = None

    @classmethod
    def get(cls):
        if cls.running is None or any(one.poll() is not None for one in cls.running.processes) \
                or not cls.running.processes:
            cls.end()   # a test may have ended it
            folder = tempfile.mkdtemp(prefix="aw-ca-")
            os.chmod(folder, 0o755)
            cls.running = Pebble(state=os.path.join(folder, "ca"), **cls.OPTIONS)
            cls.running.start()
            os.chmod(cls.running.state, 0o755)    # for the CA file; its secrets are 0600
        return cls.running

    @classmethod
    def end(cls):
        ca, cls.running = cls.running, None
        if ca is not None:
            ca.stop()
            os.rmdir(os.path.dirname(ca.state))


atexit.register(SharedCa.end)


class World:
    """See the module's text. Attributes may be changed before start()."""

    def __init__(self, pebble=None, key="ec-p256", ceiling=("dept.example.edu",)):
        os.umask(0o022)     # what others may write is refused by name
        self.folder = tempfile.mkdtemp(prefix="aw-")
        self.pebble_options = {"always_valid": True, **(pebble or {})}
        self.key = key
        self.ceiling = list(ceiling)
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.ca = None
        self.signer = None
        self.signer_log = os.path.join(self.folder, "signer.log")
        self.token = {}
        self.orders_per_day = 0
        self.signer_environment = {}
        self.token_paths = []   # what a module that is not SoftHSM itself needs besides
        self.extra_config = ""  # of the section token, then whole sections
        self.ca_lines = ()      # more lines of the CA's entry
        self.issuers = None     # file of what the CA's certificates must chain to
        self.http_port = None   # where the CA asks for http-01

    def __enter__(self):
        try:
            # Clients of other users come through here; what is secret has modes of its own.
            os.chmod(self.folder, 0o755)
            for name, mode in (("etc", 0o755), ("etc/policy.d", 0o755), ("run", 0o755),
                               ("state", 0o750), ("client", 0o755)):
                os.mkdir(self.path(name), mode)
            self.make_token()
            self.start_ca()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            if self.signer is not None:
                self.stop_signer(status=None)
        finally:
            if self.ca is not None and self.ca is not SharedCa.running:
                self.ca.stop()
            shutil.rmtree(self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # Parts.

    def make_token(self):
        done = run(["sh", os.path.join(PROJECT, "softhsm-fixtures", "token.sh"),
                    self.path("token")], env=environment(SOFTHSM_TOKEN=TOKEN_TOOL))
        for line in done.out.splitlines():
            name, _, value = line.partition("=")
            self.token[name] = shlex.split(value)[0]

    def start_ca(self):
        if self.pebble_options == SharedCa.OPTIONS:
            self.ca = SharedCa.get()
            os.symlink(self.ca.state, self.path("ca"))
        else:
            self.ca = Pebble(state=self.path("ca"), **self.pebble_options)
            self.ca.start()
            os.chmod(self.path("ca"), 0o755)    # for the CA file; its secrets are 0600
        self.http_port = self.ca.http_port

    @property
    def config(self):
        return self.path("etc", "signer.yaml")

    @property
    def socket(self):
        return self.path("run", "signer.sock")

    @property
    def admin_socket(self):
        return self.path("run", "admin.sock")

    # Where tests run there may be no other user than root.
    root_line = "allow_root: true\n" if os.geteuid() == 0 else ""

    def write_config(self, extra_accounts="", administrators=None, directory=None):
        ceiling = ", ".join(self.ceiling)
        limit = f"\n    orders_per_day: {self.orders_per_day}" if self.orders_per_day else ""
        issuers = f"\n    issuers: {self.issuers}" if self.issuers else ""
        issuers += "".join(f"\n    {line}" for line in self.ca_lines)
        administrators = administrators or f"  officers:\n    - user: {self.user}\n"
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"""token:
  module: {self.token["TOKEN_MODULE"]}
  uri: "{self.token["TOKEN_URI"]}"
  pin_source: {self.token["TOKEN_PIN_FILE"]}
  paths: {json.dumps([self.token["SOFTHSM2_CONF"], self.token["TOKEN_FOLDER"], *self.token_paths])}
  sessions: 4
{self.extra_config}{self.root_line}paths:
  state: {self.path("state")}
  policies: {self.path("etc", "policy.d")}
  application_socket: {self.socket}
  admin_socket: {self.admin_socket}
cas:
  - name: loopback
    directory: {directory or self.ca.directory}
    ca_file: {self.ca.ca_file}{issuers}
accounts:
  - name: loopback-ov
    ca: loopback
    key: {self.key}
    ceiling: [{ceiling}]{limit}
{extra_accounts}administrators:
{administrators}""")

    def application(self, name, user=None, account="loopback-ov", owner=None, **rules):
        """Writes a policy; rules are the members as in the file (names, limits, operations ...)."""
        names = {key: rules.pop(key) for key in
                 ("exact", "subdomains_of", "wildcards_of", "deny", "addresses") if key in rules}
        document = {"application": name, "owner": owner or f"{name}-team@dept.example.edu",
                    "account": account, "principals": [{"user": user or self.user}],
                    "names": names, **rules}
        path = self.path("etc", "policy.d", f"{name}.yaml")
        with open(path, "w", encoding="ascii") as file:
            for key, value in document.items():     # JSON is YAML
                file.write(f"{key}: {value if key in ('expires', 'warn_until') else json.dumps(value)}\n")
        return path

    # The signer.

    def spawn_signer(self, **more):
        with open(self.signer_log, "ab") as log:
            self.signer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", SIGNER, "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=environment(SOFTHSM2_CONF=self.token["SOFTHSM2_CONF"],
                                **self.signer_environment), **more)
        return self.signer

    def start_signer(self):
        before = os.path.getsize(self.signer_log) if os.path.exists(self.signer_log) else 0
        self.spawn_signer()
        # Not by the sockets alone: the gates of a signer that was killed may still listen.
        wait_until("the signer", lambda: self.signer.poll() is not None
                   or ("notice: ready\n" in self.log(before) and listens(self.socket)
                       and listens(self.admin_socket)), pause=0.005)
        if self.signer.poll() is not None:
            status = self.signer.returncode
            self.signer = None
            raise Failed(f"the signer ended with status {status}:\n{self.log()}")

    def stop_signer(self, number=signal.SIGTERM, status=0):
        process, self.signer = self.signer, None
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"the signer did not end on signal {number}:\n{self.log()}") from None
        if status is not None and process.returncode != status:
            raise Failed(f"the signer ended with {process.returncode}:\n{self.log()}")

    def log(self, offset=0):
        """What the signer printed, from that octet on."""
        with open(self.signer_log, "rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    # Programs.

    def admin(self, *words, status=0, stdin=None, user=None):
        return run([ADMIN, "--config", self.config, *words], status=status, stdin=stdin, user=user)

    def client(self, *words, status=0, user=None, name="client", stdin=None):
        """The client, with its own configuration folder, the CA's roots and this signer."""
        return run(self.client_command(*words, name=name), status=status, user=user, stdin=stdin)

    def client_command(self, *words, name="client"):
        path = self.path("etc", f"{name}.yaml")
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"signer: {self.socket}\nsigner_user: {self.user}\n"
                           f"ca_file: {self.ca.ca_file}\ncertificates: {self.path(name)}\n")
        return [CLIENT, words[0], "--config", path, *words[1:]]

    def certonly(self, *names, words=(), **options):
        """Issues by http-01, standalone on the port that the CA asks."""
        listed = [word for name in names for word in ("-d", name)]
        return self.client("certonly", *listed, "--standalone", "--http-01-port",
                           str(self.http_port), *words, **options)

    # The usual course.

    def import_eab(self, *words, status=0):
        with open(self.ca.key_file, encoding="ascii") as file:
            return self.admin("eab", "import", "--ca", "loopback", "--kid", self.ca.kid, *words,
                              stdin=file.read(), status=status)

    def register(self, account="loopback-ov"):
        self.admin("account", "create", account)
        return self.admin("account", "register", account, "--kid", self.ca.kid, "--agree-tos",
                          "--contact", "admin@dept.example.edu")

    def start(self):
        self.write_config()
        self.start_ready()

    def start_ready(self):
        """With the configuration that is there."""
        self.start_signer()
        self.admin("ca", "pin", "loopback", "--yes")
        self.import_eab()
        self.register()

    def records(self, *words):
        """Audit records as objects."""
        done = run([ADMIN, "--config", self.config, "--json", "audit", "show", *words])
        return [json.loads(line) for line in done.out.splitlines()]
