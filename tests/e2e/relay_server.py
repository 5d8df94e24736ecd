"""A relay of its own, and what stands for its signer.

What is tried here is the server in front: TLS, HTTP, limits, its end. The signer only gives nonces,
and can be slow about it or silent, which the real one can't be asked to be.
"""

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from world import BUILD, Failed, environment, free_ports, make_tls, wait_until

RELAY = os.path.join(BUILD, "relay", "acmeward-relay")
STOP_SECONDS = 20


class Nonces:
    """Answers GetNonces on a Unix socket (varlink.org), after `pause` seconds."""

    def __init__(self, path):
        self.pause = 0
        self.calls = 0
        self._count = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        buffer = b""
        with connection:
            while True:
                octets = connection.recv(65536)
                if not octets:
                    return
                buffer += octets
                while b"\0" in buffer:
                    message, buffer = buffer.split(b"\0", 1)
                    connection.sendall(self._answer(json.loads(message)) + b"\0")

    def _answer(self, call):
        time.sleep(self.pause)
        self.calls += 1
        if call["method"] != "org.acmeward.Relay.GetNonces":
            return json.dumps({"error": "org.acmeward.Relay.EvidenceRefused",
                               "parameters": {"rule": "evidence.account",
                                              "message": "no account"}}).encode()
        nonces = []
        for _ in range(call["parameters"]["count"]):
            self._count += 1
            nonces.append(base64.urlsafe_b64encode(self._count.to_bytes(18, "big")).decode())
        return json.dumps({"parameters": {"nonces": nonces, "lifetime": 3600}}).encode()

    def close(self):
        self._listener.close()


class RelayServer:
    """acmeward-relay with these limits and lines of relay.yaml."""

    def __init__(self, limits=None, lines=""):
        self.folder = tempfile.mkdtemp(prefix="acmeward-relay-")
        os.chmod(self.folder, 0o755)
        make_tls(self.folder)
        os.mkdir(self.path("state"), 0o700)
        self.port, = free_ports(1)
        self.url = f"https://localhost:{self.port}"
        self.signer = Nonces(self.path("signer.sock"))
        self.process = None
        root_line = "allow_root: true\n" if os.geteuid() == 0 else ""
        with open(self.path("relay.yaml"), "w", encoding="ascii") as file:
            file.write(f"signer: {self.path('signer.sock')}\nurl: {self.url}\n"
                       f'listen: ["0.0.0.0:{self.port}"]\nstate: {self.path("state")}\n{root_line}'
                       f"tls: {{certificate: {self.path('server.pem')}, "
                       f"key: {self.path('server.key')}, client_ca: {self.path('clients.pem')}}}\n"
                       f"limits: {json.dumps(limits or {})}\n{lines}")
        shutil.copy(self.path("ca.pem"), self.path("clients.pem"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self, env=None):
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", RELAY, "--config", self.path("relay.yaml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=env or environment())
        wait_until("the relay", lambda: self.process.poll() is not None
                   or "is served\n" in self.log(), pause=0.005)
        if self.process.poll() is not None:
            raise Failed(f"the relay ended with {self.process.returncode}:\n{self.log()}")
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, status=0):
        """Waits for the end."""
        process, self.process = self.process, None
        process.wait(STOP_SECONDS)
        if process.returncode != status:
            raise Failed(f"the relay ended with {process.returncode}:\n{self.log()}")

    def close(self):
        if self.process is not None:
            self.signal(signal.SIGTERM)
            self.end()
        self.signer.close()
        shutil.rmtree(self.folder)

    # What clients do.

    def context(self, certificate=None, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*certificate)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    def plain(self, source="127.0.0.1"):
        return socket.create_connection(("127.0.0.1", self.port), 20, source_address=(source, 0))

    def connect(self, source="127.0.0.1", context=None):
        return (context or self.context()).wrap_socket(self.plain(source))

    def ask(self, method="GET", path="/directory", connection=None, headers=(), body=b""):
        """One request; the answer is a dict."""
        mine = connection is None
        connection = connection or self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = read_answer(connection, method)
        if mine:
            connection.close()
        return answer


def read_answer(connection, method="GET"):
    head = b""
    while b"\r\n\r\n" not in head:
        octets = connection.recv(65536)
        if not octets:
            raise ConnectionError(f"ended after {head!r}")
        head += octets
    head, body = head.split(b"\r\n\r\n", 1)
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines:
        name, value = line.split(": ", 1)
        fields.setdefault(name.lower(), []).append(value)
    length = 0 if method == "HEAD" else int(fields.get("content-length", ["0"])[0])
    while len(body) < length:
        octets = connection.recv(65536)
        if not octets:
            raise ConnectionError(f"ended in the body after {head!r}")
        body += octets
    return {"status": int(status.split()[1]), "fields": fields, "body": body}


def ended(connection, seconds):
    """Whether the other end closes it within that time."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True
