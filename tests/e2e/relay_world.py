"""A world with a relay: signer, SoftHSM and Pebble of world.py, and acmeward-relay before them.

    with RelayWorld() as world:
        world.application("app1", exact=["app1.dept.example.edu"], relay={})
        world.start()                               # all of it, the relay at last
        kid, key = world.app_eab("app1")
        client = world.acme()                       # tests/e2e/acme_client.py
        client.register(kid, key)
        chain, key, order = client.issue("app1.dept.example.edu")

The relay's certificate is of a CA on loopback, world.relay.ca_file; world.relay.directory is what
clients get.
"""

import json
import os
import shutil
import signal
import subprocess

from acme_client import AcmeClient
from world import (BUILD, START_SECONDS, STOP_SECONDS, Failed, World, environment, free_ports,
                   make_tls, wait_until)

RELAY = os.path.join(BUILD, "relay", "acmeward-relay")
READY = "/directory is served"


class Relay:
    """One relay with a store of its own. `settings` go to relay.yaml as they are (JSON is YAML).

    `login`: whom the signer takes it for, where that is not its user. `host`: of its URL; the
    certificate that is made here is for localhost.
    """

    def __init__(self, world, name="relay", user=None, login=None, host="localhost", **settings):
        self.world = world
        self.name = name
        self.login = login
        self.port = free_ports(1)[0]
        self.url = f"https://{host}:{self.port}"
        self.directory = f"{self.url}/directory"
        self.folder = world.path(name)
        self.state = os.path.join(self.folder, "state")
        self.config = os.path.join(self.folder, "relay.yaml")
        self.log_file = os.path.join(self.folder, "relay.log")
        self.tls = os.path.join(self.folder, "tls")
        self.ca_file = os.path.join(self.tls, "ca.pem")
        self.user = user        # None: the test's own
        self.settings = settings
        self.process = None
        os.makedirs(self.state, mode=0o700)
        os.makedirs(self.tls)
        make_tls(self.tls)
        self.upstream_ca_file = os.path.join(self.folder, "upstream.pem")   # the CA's own is 0600
        shutil.copyfile(world.ca.ca_file, self.upstream_ca_file)
        if user is not None:
            for folder, _, files in os.walk(self.folder):
                for path in (folder, *(os.path.join(folder, file) for file in files)):
                    shutil.chown(path, user)

    def write_config(self):
        document = {"signer": self.world.socket, "signer_user": self.world.user, "url": self.url,
                    "listen": [f"127.0.0.1:{self.port}"],
                    "tls": {"certificate": os.path.join(self.tls, "server.pem"),
                            "key": os.path.join(self.tls, "server.key")},
                    "state": self.state, **({"allow_root": True} if os.geteuid() == 0 else {}),
                    "ca_file": self.upstream_ca_file, **self.settings}
        with open(self.config, "w", encoding="ascii") as file:
            for key, value in document.items():
                file.write(f"{key}: {json.dumps(value)}\n")

    def log(self):
        if not os.path.exists(self.log_file):
            return ""
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self):
        self.write_config()
        before = len(self.log())
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", RELAY, "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment(),
                user=self.user, extra_groups=None if self.user is None else [])
        wait_until("the relay", lambda: self.process.poll() is not None
                   or READY in self.log()[before:], seconds=START_SECONDS, pause=0.005)
        if self.process.poll() is not None:
            raise Failed(f"the relay ended with {self.process.returncode}:\n{self.log()}")
        return self

    def stop(self, number=signal.SIGTERM, status=0):
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"the relay did not end on signal {number}:\n{self.log()}") from None
        if status is not None and process.returncode != status:
            raise Failed(f"the relay ended with {process.returncode}:\n{self.log()}")

    def kill(self):
        self.stop(signal.SIGKILL, status=None)

    def acme(self, key=None):
        return AcmeClient(self.directory, self.ca_file, key=key)


class RelayWorld(World):
    """See the module's text. `relay` holds settings for relay.yaml."""

    def __init__(self, relay=None, **options):
        super().__init__(**options)
        self.relay_settings = relay or {}
        self.ca_directory = None    # in place of the CA's own: of a proxy before it
        self.relays = []

    @property
    def relay(self):
        return self.relays[0]

    def close(self):
        try:
            for relay in self.relays:
                relay.stop(status=None)
        finally:
            super().close()

    def add_relay(self, name="relay", **settings):
        """Another relay; before start(), since the signer has to know its URL."""
        relay = Relay(self, name, **{**self.relay_settings, **settings})
        self.relays.append(relay)
        return relay

    def write_config(self, *words, **options):
        if not self.relays:
            self.add_relay()
        lines = "".join(f"  - user: {relay.login or relay.user or self.user}\n    url: {relay.url}\n"
                        for relay in self.relays)
        # Whole sections come behind the one of the token.
        self.extra_config = f"relays:\n{lines}"
        super().write_config(*words, **{"directory": self.ca_directory, **options})

    def start_signing(self):
        """All but the relays."""
        super().start()
        self.admin("relay-key", "create")

    def start(self):
        self.start_signing()
        for relay in self.relays:
            relay.start()

    def app_eab(self, application, *words):
        """A kid and its HMAC key."""
        made = self.admin("--json", "app-eab", "create", application, *words).json()
        return made["kid"], made["key"]

    def acme(self, key=None):
        return self.relay.acme(key=key)

    def account(self, application):
        """A client with a new account for that application."""
        client = self.acme()
        client.register(*self.app_eab(application))
        return client
