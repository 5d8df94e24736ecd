"""A proxy before a CA that loses what passes through it: HTTPS on both sides, on loopback.

    with FaultyProxy(ca, folder_of_the_ca) as proxy:
        proxy.fault("finalize", "drop")     # until proxy.heal()
        proxy.accepted["new-order"]         # requests of that step that the CA took (2xx)

The CA has seen a request before its answer is lost ("drop", "cut", "html" ...); with "lost" it has
not. Steps are told by Pebble's paths. The CA makes its URLs from the Host field, which is passed on,
so everything the client asks comes through here.
"""

import collections
import http.client
import http.server
import json
import os
import ssl
import threading

STEPS = {"/dir": "directory", "/nonce-plz": "new-nonce", "/order-plz": "new-order",
         "/authZ": "authorization", "/chalZ": "challenge", "/finalize-order": "finalize",
         "/my-order": "order", "/certZ": "certificate"}
PASSED = ("Replay-Nonce", "Location", "Content-Type", "Link", "Retry-After")
PAGE = b"<html><body>Service temporarily unavailable</body></html>"


def step_of(path):
    return STEPS.get("/" + path.split("/")[1], "other")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def take(self, body):
        """For tests that look at what is asked."""

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.take(body)
        fields = {name: self.headers[name] for name in ("Host", "Content-Type", "User-Agent")
                  if name in self.headers}
        upstream = http.client.HTTPSConnection(
            "localhost", self.server.proxy.port, context=ssl._create_unverified_context())  # noqa: SLF001
        try:
            upstream.request(self.command, self.path, body or None, fields)
            answer = upstream.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            upstream.close()

    def write(self, status, fields, body):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self):
        proxy, step = self.server.proxy, step_of(self.path)
        fault = proxy.faults.get(step)
        if fault == "lost":
            self.close_connection = True
            return
        status, headers, body = self.forward()
        with proxy.lock:
            proxy.seen[step] += 1
            proxy.accepted[step] += 200 <= status <= 299
        fields = [(name, value) for name in PASSED for value in headers.get_all(name, [])]
        self.spoil(fault, status, fields, body)

    def spoil(self, fault, status, fields, body):
        plain = [field for field in fields if field[0] != "Content-Type"]
        if fault is None:
            self.write(status, fields, body)
        elif fault == "drop":
            self.close_connection = True
        elif fault == "cut":        # the connection ends within the header or the body
            self.send_response(status)
            for name, value in fields:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + 100))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif fault == "closed":     # after the whole answer
            self.write(status, fields, body)
            self.close_connection = True
        elif fault == "html":
            self.write(200, [*plain, ("Content-Type", "text/html")], PAGE)
        elif fault == "truncated":
            self.write(status, fields, body[:len(body) // 2])
        elif fault == "redirect":
            self.write(302, [("Location", "https://elsewhere.example/")], b"")
        elif fault == "processing": # the CA takes its time
            order = {**json.loads(body), "status": "processing"}
            order.pop("certificate", None)
            self.write(200, fields, json.dumps(order).encode())
        elif callable(fault):       # what kills the client, which gets no answer; else it says so
            if fault():
                self.write(status, fields, body)
            else:
                self.close_connection = True
        else:                       # (status, fields)
            self.write(fault[0], [*fault[1], *plain, ("Content-Type", "text/plain")], b"busy")

    do_GET = do_HEAD = do_POST = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass        # a client that was killed


class FaultyProxy:
    def __init__(self, ca, folder):
        self.port = int(ca.origin.rsplit(":", 1)[1])
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.directory = ca.directory.replace(f":{self.port}/", f":{self.server.server_port}/")
        self.lock = threading.Lock()
        self.faults = {}
        self.seen = collections.Counter()
        self.accepted = collections.Counter()

    def fault(self, step, how):
        self.faults = {step: how}

    def hold(self):
        """Orders that were finalized are processing, until heal()."""
        self.faults = {"finalize": "processing", "order": "processing"}

    def heal(self):
        self.faults = {}

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
