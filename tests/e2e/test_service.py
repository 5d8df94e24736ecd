#!/usr/bin/python3
"""The signer under a service manager: readiness, sockets that are passed, reload, orderly end."""

import os
import shutil
import signal
import socket
import subprocess
import unittest

from world import SIGNER, World, environment, listens, wait_until


def gates_of(core):
    """The pids of a signer's gates."""
    found = []
    for child in children_of(core):
        for one in children_of(child):
            with open(f"/proc/{one}/comm", encoding="ascii") as file:
                if file.read().strip() == "acmeward-gate":
                    found.append(one)
    return found


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


class Manager(unittest.TestCase):
    """Plays the service manager: NOTIFY_SOCKET, LISTEN_FDS (sd_notify(3), sd_listen_fds(3))."""

    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.world.application("app", exact=["app.dept.example.edu"])
        self.world.write_config()
        self.notify = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notify.bind(self.world.path("notify"))
        self.notify.settimeout(30)

    def listen(self, path):
        made = self.enterContext(socket.socket(socket.AF_UNIX))
        made.bind(path)
        made.listen(16)
        return made

    def spawn(self, sockets=(), names="", program=SIGNER):
        """LISTEN_PID is the daemon's own, so a shell sets it and becomes the daemon."""
        env = environment(SOFTHSM2_CONF=self.world.token["SOFTHSM2_CONF"],
                          NOTIFY_SOCKET=self.world.path("notify"))
        script = 'exec "$@"'
        if sockets:
            script = f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names} exec "$@"'

        def pass_sockets():
            # As high as they may be first, so that none overwrites another.
            high = [os.dup2(made.fileno(), 100 + i) for i, made in enumerate(sockets)]
            for i, descriptor in enumerate(high):
                os.dup2(descriptor, 3 + i, inheritable=True)

        with open(self.world.signer_log, "ab") as log:
            self.world.signer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", script, "sh", program, "--config",
                 self.world.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                close_fds=not sockets, preexec_fn=pass_sockets if sockets else None)

    def told(self):
        return self.notify.recv(4096).decode()

    def test_ready_reload_stop(self):
        self.spawn()
        self.assertIn("READY=1", self.told())
        self.assertTrue(listens(self.world.socket) and listens(self.world.admin_socket))
        self.world.signer.send_signal(signal.SIGHUP)
        reloading = self.told()
        self.assertIn("RELOADING=1", reloading)
        self.assertIn("MONOTONIC_USEC=", reloading)
        self.assertIn("READY=1", self.told())
        self.world.signer.send_signal(signal.SIGTERM)
        self.assertIn("STOPPING=1", self.told())
        self.assertEqual(self.world.signer.wait(20), 0)
        self.world.signer = None
        self.assertFalse(os.path.exists(self.world.socket))

    def whoami(self, connection):
        connection.sendall(b'{"method":"org.acmeward.Signer.WhoAmI"}\0')
        data = b""
        while not data.endswith(b"\0"):
            more = connection.recv(65536)
            self.assertTrue(more, "the connection was closed")
            data += more
        return data

    def test_ready_is_when_both_gates_accept(self):
        """Who connects after READY=1, or before, or while a gate is away, is served."""
        folder = self.world.path("programs")
        os.mkdir(folder)
        gate = os.path.join(folder, "acmeward-gate")
        shutil.copy(SIGNER, folder)
        shutil.copy("/bin/false", gate)
        self.spawn(program=os.path.join(folder, os.path.basename(SIGNER)))
        wait_until("gates that do not accept",
                   lambda: self.world.log().count("is started anew") >= 4)
        with socket.socket(socket.AF_UNIX) as early:
            early.settimeout(30)
            early.connect(self.world.socket)
            self.assertNotIn("notice: ready", self.world.log())
            self.notify.setblocking(False)
            with self.assertRaises(BlockingIOError):
                self.notify.recv(4096)
            self.notify.settimeout(30)
            shutil.copy(os.path.join(os.path.dirname(SIGNER), "acmeward-gate"), gate + ".new")
            os.rename(gate + ".new", gate)
            self.assertIn("READY=1", self.told())
            self.assertIn(b"parameters", self.whoami(early))
        # The gate is away, for half a second or so: what is connected then waits for the next one.
        os.rename(gate, gate + ".away")
        for pid in gates_of(self.world.signer.pid):
            os.kill(pid, signal.SIGKILL)
        with socket.socket(socket.AF_UNIX) as late:
            late.settimeout(30)
            late.connect(self.world.socket)
            os.rename(gate + ".away", gate)
            self.assertIn(b"parameters", self.whoami(late))

    def test_not_ready_when_it_cannot_start(self):
        os.unlink(self.world.token["TOKEN_PIN_FILE"])
        self.spawn()
        self.assertEqual(self.world.signer.wait(60), 5)
        self.world.signer = None
        self.notify.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.notify.recv(4096)

    def test_sockets_that_are_passed(self):
        # In the other order, so that only the names tell which is which.
        sockets = [self.listen(self.world.admin_socket), self.listen(self.world.socket)]
        self.spawn(sockets, "admin:application")
        self.assertIn("READY=1", self.told())
        self.assertEqual(self.world.admin("--json", "status").json()["role"], "officer")
        self.assertIn("app", self.world.client("whoami").out)
        self.world.stop_signer()
        self.assertTrue(os.path.exists(self.world.socket), "the manager's socket is not ours to remove")

    def test_a_passed_socket_at_another_path(self):
        sockets = [self.listen(self.world.path("run", "elsewhere.sock")),
                   self.listen(self.world.admin_socket)]
        self.spawn(sockets, "application:admin")
        self.assertEqual(self.world.signer.wait(60), 2)
        self.world.signer = None
        self.assertIn("ListenStream", self.world.log())

    def test_calls_in_progress_end_in_order(self):
        self.spawn()
        self.assertIn("READY=1", self.told())
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self.world.socket)
            stream.sendall(b'{"method":"org.acmeward.Signer.WhoAmI"}\0')
            self.world.signer.send_signal(signal.SIGTERM)
            data = b""
            try:
                while more := stream.recv(65536):
                    data += more
            except ConnectionResetError:
                pass        # the gate had not begun to read
        self.assertTrue(data == b"" or data.endswith(b"\0"), "half a reply")
        wait_until("the end", lambda: self.world.signer.poll() is not None)
        self.assertEqual(self.world.signer.returncode, 0)
        self.world.signer = None


if __name__ == "__main__":
    unittest.main()
