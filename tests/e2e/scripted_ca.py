"""A CA that says what a test tells it to: HTTPS on loopback, answers from a table.

    with ScriptedCa(folder, {"/dir": ..., ("POST", "/new-account"): [first, second]}) as ca:
        ca.directory, ca.ca_file, ca.requests

An answer is (status, headers, body), or a function of the payload that gives one; a list is used up
one by one, its last entry stays. What was posted is kept decoded, newest last.
"""

import base64
import http.server
import json
import os
import secrets
import ssl
import threading

from pebble import make_tls


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def problem(kind, status=403, detail="scripted"):
    return (status, {"Content-Type": "application/problem+json"},
            json.dumps({"type": "urn:ietf:params:acme:error:" + kind, "detail": detail,
                        "status": status}))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        ca = self.server.ca
        payload = None
        if self.command == "POST":
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            payload = json.loads(decode(message["payload"]) or b"null")
            ca.requests.append((self.path, json.loads(decode(message["protected"])), payload))
        answer = ca.find(self.command, self.path)
        status, headers, body = answer(payload) if callable(answer) else answer
        data = body.encode()
        self.send_response(status)
        for name, value in {"Replay-Nonce": secrets.token_urlsafe(16), "Content-Type":
                            "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = answer


class ScriptedCa:
    def __init__(self, folder, table, meta=None):
        os.makedirs(folder)
        make_tls(folder)
        self.ca_file = os.path.join(folder, "ca.pem")
        self.table = table
        self.requests = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.ca = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"https://localhost:{self.server.server_port}"
        self.directory = self.origin + "/dir"
        names = {"newNonce": "nonce", "newAccount": "new-account", "newOrder": "new-order",
                 "revokeCert": "revoke", "keyChange": "key-change"}
        document = {name: f"{self.origin}/{path}" for name, path in names.items()}
        document["meta"] = meta or {"externalAccountRequired": True}
        self.table.setdefault(("GET", "/dir"), (200, {}, json.dumps(document)))
        self.table.setdefault(("HEAD", "/nonce"), (200, {}, ""))
        self.lock = threading.Lock()

    def find(self, method, path):
        with self.lock:
            answer = self.table.get((method, path), (404, {}, "{}"))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
