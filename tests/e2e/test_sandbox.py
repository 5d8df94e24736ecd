#!/usr/bin/python3
"""The sandbox of the running signer: its processes, what they hold, what is said of it.

What each process is answered when it tries something is tests/unit/signer/test_sandbox.c.
"""

import os
import shutil
import signal
import unittest

from world import SIGNER, World, run, wait_until

INSTRUMENTED = any(name in os.environ for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")) or \
    b"ACMEWARD_SANITIZE:STRING=\n" not in open(
        os.path.join(os.path.dirname(os.path.dirname(SIGNER)), "CMakeCache.txt"), "rb").read() or \
    b"ACMEWARD_COVERAGE:BOOL=ON" in open(
        os.path.join(os.path.dirname(os.path.dirname(SIGNER)), "CMakeCache.txt"), "rb").read()


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines()
                if ":\t" in line)


def children_of(pid):
    return [int(word) for word in read(f"/proc/{pid}/task/{pid}/children").split()]


def descriptors(pid):
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=["app.dept.example.edu"])
        # A descriptor and variables that nobody meant the signer to have.
        cls.world.signer_environment = {"OPENSSL_MODULES": "/nonexistent"}
        cls.world.start()
        wait_until("both gates", lambda: len(cls.processes()) == 5)

    @classmethod
    def processes(cls):
        """Name: pids."""
        core = cls.world.signer.pid
        found = {("core", core): core}
        for child in children_of(core):
            name = read(f"/proc/{child}/comm").strip()
            found[(name, child)] = child
            for gate in children_of(child):
                try:
                    if os.path.basename(os.readlink(f"/proc/{gate}/exe")) == "acmeward-gate":
                        found[("gate", gate)] = gate
                except OSError:
                    pass        # it has ended
        return found

    def pids(self, name):
        return [pid for (found, pid) in self.processes() if found == name]

    def test_every_process_has_a_filter_and_no_privileges(self):
        for (name, pid) in self.processes():
            status = status_of(pid)
            with self.subTest(name):
                self.assertEqual(status["Seccomp"], "2")
                self.assertEqual(status["NoNewPrivs"], "1")
                for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    self.assertEqual(int(status[kind], 16), 0, kind)
                if os.geteuid() == 0:       # who has none can't empty the bounding set
                    self.assertEqual(int(status["CapBnd"], 16), 0)

    def test_every_thread_of_the_core_has_the_filter(self):
        core = self.world.signer.pid
        threads = os.listdir(f"/proc/{core}/task")
        self.assertGreater(len(threads), 2)
        for thread in threads:
            self.assertIn("Seccomp:\t2", read(f"/proc/{core}/task/{thread}/status"))

    @unittest.skipIf(INSTRUMENTED, "leaks are looked for by a tracer of the same user")
    def test_no_process_dumps_or_can_be_traced_by_its_user(self):
        for (name, pid) in self.processes():
            with self.subTest(name):
                self.assertRegex(read(f"/proc/{pid}/limits"), r"Max core file size +0 +0 ")
                self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0)
                done = run(["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "cat",
                            f"/proc/{pid}/maps"], status=None)
                self.assertNotEqual(done.status, 0, "its user can read its memory's map")

    def test_the_gates_hold_no_file_and_no_module(self):
        self.assertEqual(len(self.pids("gate")), 2)
        for pid in self.pids("gate"):
            held = descriptors(pid)
            self.assertLessEqual({fd for fd in held if fd > 4},
                                 {fd for fd, what in held.items()
                                  if what.startswith(("socket:", "anon_inode:"))})
            self.assertEqual({held[0], held[1]}, {"/dev/null"})
            self.assertTrue(held[3].startswith("socket:") and held[4].startswith("socket:"))
            maps = read(f"/proc/{pid}/maps")
            for library in ("softhsm", "libp11", "sqlite", "libcurl"):
                self.assertNotIn(library, maps)
            # The settings of sanitizers are in builds for tests only.
            names = {variable.split("=")[0] for variable in
                     read(f"/proc/{pid}/environ").split("\0") if variable}
            self.assertLessEqual({name for name in names if not name.endswith("SAN_OPTIONS")},
                                 {"JOURNAL_STREAM"})

    def test_the_keeper_and_users_hold_no_file(self):
        for name in ("acmeward-keeper", "acmeward-users"):
            (pid,) = self.pids(name)
            for fd, what in descriptors(pid).items():
                self.assertTrue(fd == 2 or what == "/dev/null" or
                                what.startswith(("socket:", "anon_inode:")), f"{name}: {what}")

    def test_status_shows_it(self):
        told = self.world.admin("--json", "status").json()["sandbox"]
        self.assertTrue(told["seccomp"])
        self.assertGreaterEqual(told["landlock"], 1)
        self.assertEqual(told["network"], "none")
        self.assertEqual(told["devices"], [])
        self.assertIn(self.world.token["TOKEN_FOLDER"], told["paths"])
        shown = self.world.admin("status").out
        self.assertIn("sandbox seccomp, Landlock", shown)
        self.assertEqual(told["root"], os.geteuid() == 0)
        self.assertEqual("RUNS AS ROOT" in shown, os.geteuid() == 0)

    def test_a_change_of_it_needs_a_restart(self):
        text = read(self.world.config)
        try:
            with open(self.world.config, "a", encoding="ascii") as file:
                file.write("sandbox: {landlock: false}\n")
            done = self.world.admin("reload", status=2)
            self.assertIn("restart the signer", done.text)
        finally:
            with open(self.world.config, "w", encoding="ascii") as file:
                file.write(text)

    def test_a_reload_and_a_replaced_configuration_work(self):
        shutil.copy(self.world.config, self.world.config + ".new")
        os.rename(self.world.config + ".new", self.world.config)
        self.world.application("later", exact=["later.dept.example.edu"])
        self.world.admin("reload")
        self.assertIn("later", self.world.client("whoami").out)

    def test_a_gate_that_was_killed_is_back(self):
        before = self.pids("gate")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until("new gates", lambda: len(set(self.pids("gate")) - set(before)) == 2)
        self.assertEqual(self.world.admin("--json", "status").json()["role"], "officer")


class Starting(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.world.application("app", exact=["app.dept.example.edu"])

    def test_off_is_said_everywhere(self):
        self.world.write_config()
        with open(self.world.config, "a", encoding="ascii") as file:
            file.write("sandbox: {landlock: false, seccomp: false}\n")
        self.world.start_signer()
        self.assertIn("signer.yaml switches off: seccomp landlock", self.world.log())
        self.assertIn("NO SECCOMP, NO LANDLOCK", self.world.admin("status").out)
        self.assertIn("without seccomp, without Landlock",
                      self.world.records("--kind", "start")[0]["message"])
        pids = [self.world.signer.pid, *children_of(self.world.signer.pid)]
        for pid in pids:
            self.assertEqual(status_of(pid)["NoNewPrivs"], "1")
        if not INSTRUMENTED:
            self.assertEqual({status_of(pid)["Seccomp"] for pid in pids}, {"0"})

    def test_what_is_opened_for_the_token_is_told(self):
        """A network HSM's section; that exactly this is opened: tests/unit/signer/test_sandbox.c."""
        self.world.extra_config = "  network: inet\n  devices: [/dev/null]\n"
        self.world.write_config()
        self.world.start_signer()
        told = self.world.admin("--json", "status").json()["sandbox"]
        self.assertEqual((told["network"], told["devices"]), ("inet", ["/dev/null"]))
        self.assertIn("inet", self.world.admin("status").out)
        core = status_of(self.world.signer.pid)
        self.assertEqual((core["Seccomp"], core["NoNewPrivs"]), ("2", "1"))

    def refused(self, **environment):
        """What the log says of a start that fails, before anything else is done."""
        self.world.signer_environment.update(environment)
        self.world.spawn_signer()
        self.assertEqual(self.world.signer.wait(20), 1)
        self.world.signer = None
        self.assertNotIn("notice: ready", self.world.log())
        self.assertFalse(os.path.exists(self.world.path("state", "audit", "audit.jsonl")))
        return self.world.log()

    def test_root_is_refused_unless_it_is_allowed(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.world.root_line = ""
        self.world.write_config()
        self.assertIn("the signer is not run as root", self.refused())
        self.assertIn("allow_root: true", self.world.log())

    def test_what_the_loader_follows_is_refused(self):
        self.world.write_config()
        for name in ("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_BIND_NOW"):
            log = self.refused(**{name: ""})
            self.assertIn(f"{name} is set", log)
            del self.world.signer_environment[name]

    def test_the_environment_is_what_the_module_needs(self):
        self.world.write_config()
        self.world.signer_environment.update(GCONV_PATH="/x", TZDIR="/x", VENDOR_MODULE_CONF="/y")
        self.world.start_signer()   # SOFTHSM2_CONF is found, the others do no harm
        self.world.admin("status")

    def test_a_token_folder_that_is_not_named_says_what_to_name(self):
        self.world.token["TOKEN_FOLDER"] = self.world.token["SOFTHSM2_CONF"]
        self.world.write_config()
        with self.assertRaises(AssertionError):
            self.world.start_signer()
        self.assertIn("token: paths", self.world.log())

    def test_descriptors_of_the_caller_are_closed(self):
        self.world.write_config()
        with open(self.world.path("secret"), "w+", encoding="ascii") as file:
            os.set_inheritable(file.fileno(), True)
            self.world.spawn_signer(close_fds=False)
            wait_until("the signer", lambda: "ready" in self.world.log())
            self.assertNotIn(self.world.path("secret"), descriptors(self.world.signer.pid).values())

    def test_the_pin_as_a_credential(self):
        """As systemd passes it: a file of root's in /run/credentials, readable for the group too."""
        if os.geteuid() != 0:
            self.skipTest("only root can make /run/credentials")
        folder = f"/run/credentials/acmeward-test-{os.getpid()}.service"
        os.makedirs(folder, mode=0o700)
        self.addCleanup(shutil.rmtree, folder)
        shutil.copy(self.world.token["TOKEN_PIN_FILE"], os.path.join(folder, "pin"))
        os.chmod(os.path.join(folder, "pin"), 0o440)
        self.world.token["TOKEN_PIN_FILE"] = os.path.join(folder, "pin")
        self.world.write_config()
        self.world.start_signer()
        self.assertTrue(self.world.admin("--json", "status").json()["token_healthy"])


if __name__ == "__main__":
    unittest.main()
