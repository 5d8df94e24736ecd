#!/usr/bin/python3
"""The signer under a service manager: readiness, sockets that are passed, reload, orderly end."""

import os
import signal
import socket
import subprocess
import unittest

from world import SIGNER, World, environment, listens, wait_until


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

    def spawn(self, sockets=(), names=""):
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
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", script, "sh", SIGNER, "--config",
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
