"""Connections to the signer as users, and many calls at once on each."""

import os
import selectors
import socket
import sys

STALLED_SECONDS = 60


def connect(path):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    return stream


def connect_as(path, uid):
    """A connection whose peer, to the signer, is that user: a child becomes it and connects."""
    if uid == os.geteuid():
        return connect(path)
    ours, childs = socket.socketpair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with connect(path) as stream:
                socket.send_fds(childs, [b"x"], [stream.fileno()])
            status = 0
        except OSError as error:
            print(f"connecting as uid {uid}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    childs.close()
    try:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        _, status = os.waitpid(child, 0)
        if status != 0 or not descriptors:
            raise OSError(f"no connection as uid {uid}")
        return socket.socket(fileno=descriptors[0])
    finally:
        ours.close()


class Line:
    """What one connection has to send, and what came."""

    def __init__(self, stream):
        self.stream = stream
        stream.setblocking(False)
        self.left = memoryview(b"")
        self.expected = 0
        self.came = bytearray()

    def begin(self, data):
        self.left = memoryview(data)
        self.expected = data.count(b"\0")
        self.came = bytearray()

    def send(self):
        self.left = self.left[self.stream.send(self.left):]

    def receive(self):
        data = self.stream.recv(1 << 18)
        if not data:
            raise ConnectionError("the signer closed a connection")
        self.came += data
        self.expected -= data.count(b"\0")

    def wants(self):
        return (selectors.EVENT_READ if self.expected > 0 else 0) | (
            selectors.EVENT_WRITE if self.left else 0)


class Connections:
    def __init__(self, path, uids):
        self.lines = {uid: Line(connect_as(path, uid)) for uid in uids}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in self.lines.values():
            line.stream.close()

    def exchange(self, messages):
        """Sends each user's messages at once; gives the replies of each, in order."""
        with selectors.DefaultSelector() as selector:
            for uid, data in messages.items():
                self.lines[uid].begin(data)
                selector.register(self.lines[uid].stream, self.lines[uid].wants(), self.lines[uid])
            while selector.get_map():
                ready = selector.select(STALLED_SECONDS)
                if not ready:
                    raise TimeoutError(f"no reply for {STALLED_SECONDS} s")
                for key, events in ready:
                    self.step(selector, key.data, events)
        return {uid: bytes(self.lines[uid].came).split(b"\0")[:-1] for uid in messages}

    @staticmethod
    def step(selector, line, events):
        if events & selectors.EVENT_WRITE:
            line.send()
        if events & selectors.EVENT_READ:
            line.receive()
        if line.wants():
            selector.modify(line.stream, line.wants(), line)
        else:
            selector.unregister(line.stream)
