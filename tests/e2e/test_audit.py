#!/usr/bin/python3
"""The audit log proves itself: checkpoints, proofs, and what is found when the log was changed, all
by the programs, without signer and token where that is promised."""

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import unittest

from world import World, listens, run, wait_until, ADMIN

ORIGIN = "acmeward.dept.example.edu/audit"
PUBLIC_KEY = "audit.pem"


def hash_children(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_by_inclusion(index, size, leaf, proof):
    """RFC 9162 2.1.3.2, written from its text: the root that a proof gives."""
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        assert sn != 0
        if fn & 1 or fn == sn:
            r = hash_children(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hash_children(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def roots_by_consistency(first, second, first_root, proof):
    """RFC 9162 2.1.4.2: the older and the newer root that a proof gives."""
    path = list(proof) if first & first - 1 else [first_root, *proof]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn != 0
        if fn & 1 or fn == sn:
            fr, sr = hash_children(c, fr), hash_children(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = hash_children(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return fr, sr


def read_note(note):
    """Size and root of a checkpoint."""
    return int(note.split("\n")[1]), base64.b64decode(note.split("\n")[2])


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        world = cls.world
        world.application("app", exact=["app.dept.example.edu", "second.dept.example.edu"],
                          subdomains_of=["many.dept.example.edu"])
        world.write_config()
        for folder in ("export", "figures"):
            os.mkdir(world.path(folder), 0o755)
        with open(world.config, "a", encoding="ascii") as file:
            file.write(f"audit:\n  key: audit-1\n  origin: {ORIGIN}\n"
                       f"  export: {world.path('export')}\n"
                       f"  forward: syslog\n  forward_socket: {world.path('syslog')}\n"
                       f"metrics:\n  file: {world.path('figures', 'acmeward.prom')}\n"
                       "  every_seconds: 1\n")
        world.start_signer()
        world.admin("ca", "pin", "loopback", "--yes")
        world.import_eab()
        world.register()
        cls.key = world.admin("audit", "key", "create").out
        cls.line, cls.pem = cls.key.split("\n", 1)
        cls.save(PUBLIC_KEY, cls.pem)
        cls.save("audit.line", cls.line + "\n")
        cls.first = world.admin("audit", "checkpoint").out
        cls.save("first", cls.first)
        for _ in range(5):
            world.admin("freeze", "--reason", "test")
        cls.second = world.admin("audit", "checkpoint").out
        cls.save("second", cls.second)

    @classmethod
    def save(cls, name, text):
        with open(cls.world.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return cls.world.path(name)

    def audit(self, *words, status=0):
        """A command that reads files only: it is not told where the signer is."""
        return run([ADMIN, "--config", "/nonexistent", "--socket", "/nonexistent", "audit", *words],
                   status=status)

    def verify(self, *words, status=0, folder=None):
        return self.audit("verify", "--folder", folder or self.world.path("state", "audit"),
                          "--public-key", self.world.path(PUBLIC_KEY), *words, status=status)

    def copy(self):
        """The log's folder as it could be restored or changed."""
        folder = self.world.path("copy")
        run(["rm", "-rf", folder])
        run(["cp", "-r", self.world.path("state", "audit"), folder])
        return folder

    def test_01_openssl_verifies_a_checkpoint(self):
        body, _, signature = self.first.partition("\n\n")
        blob = base64.b64decode(signature.split(" ")[2])
        with open(self.world.path("signature"), "wb") as file:
            file.write(blob[4:])
        body_file = self.save("body", body + "\n")
        run(["openssl", "dgst", "-sha256", "-verify", self.world.path(PUBLIC_KEY), "-signature",
             self.world.path("signature"), body_file])
        spki = base64.b64decode("".join(self.pem.split("\n")[1:-2]))
        self.assertEqual(blob[:4], hashlib.sha256(spki).digest()[:4])
        name, key_id, material = self.line.split("+", 2)
        self.assertEqual((name, key_id), (ORIGIN, blob[:4].hex()))
        self.assertEqual(base64.b64decode(material), b"\x02" + spki)

    def test_02_the_root_is_that_of_the_rfc(self):
        origin, size, root = self.second.split("\n")[:3]
        self.assertEqual(origin, ORIGIN)
        with open(self.world.path("state", "audit", "audit.jsonl"), "rb") as file:
            leaves = file.readlines()[:int(size)]

        def mth(lines):
            if len(lines) == 1:
                return hashlib.sha256(b"\0" + lines[0]).digest()
            k = 1 << (len(lines) - 1).bit_length() - 1
            return hashlib.sha256(b"\1" + mth(lines[:k]) + mth(lines[k:])).digest()

        self.assertEqual(base64.b64decode(root), mth(leaves))

    def test_03_verified_without_signer_and_token(self):
        done = self.verify("--checkpoint", self.world.path("first"), "--checkpoint",
                           self.world.path("second"))
        self.assertIn("the chain is whole", done.out)
        self.assertEqual(done.out.count("the log continues"), 3)
        self.assertIn(", signed", done.out)
        done = self.audit("verify", "--folder", self.world.path("state", "audit"))
        self.assertIn("signatures not checked", done.out)

    def test_04_attack_101_cut_back_behind_a_checkpoint_kept_elsewhere(self):
        folder = self.copy()
        size = int(self.second.split("\n")[1])
        path = os.path.join(folder, "audit.jsonl")
        with open(path, "rb") as file:
            lines = file.readlines()
        with open(path, "wb") as file:
            file.writelines(lines[:size - 1])
        os.unlink(os.path.join(folder, "checkpoints"))    # whoever cuts the log cuts these too
        self.verify(folder=folder)                        # the chain alone is whole
        self.verify("--checkpoint", self.world.path("first"), folder=folder)
        done = self.verify("--checkpoint", self.world.path("second"), folder=folder, status=1)
        self.assertIn("cut back", done.err)
        self.assertIn(f"covers {size}", done.err)

    def test_05_attack_101_rewritten_with_a_whole_chain(self):
        folder = self.copy()
        os.unlink(os.path.join(folder, "checkpoints"))
        path = os.path.join(folder, "audit.jsonl")
        previous = "0" * 64
        with open(path, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        records[0]["user"] = "mallory"
        order = ("seq", "time", "kind", "uid", "user")
        with open(path, "w", encoding="utf-8") as file:
            for record in records:
                record["prev"] = previous
                names = [n for n in order if n in record] + [n for n in record if n not in order]
                line = json.dumps({n: record[n] for n in names}, separators=(",", ":"),
                                  ensure_ascii=False) + "\n"
                previous = hashlib.sha256(line.encode()).hexdigest()
                file.write(line)
        self.verify(folder=folder)
        done = self.verify("--checkpoint", self.world.path("first"), folder=folder, status=1)
        self.assertIn("the log was rewritten", done.err)
        self.assertIn(self.world.path("first"), done.err)

    def test_06_a_forged_checkpoint_is_refused(self):
        forged = self.save("forged", self.second.replace(self.second.split("\n")[2],
                                                         self.first.split("\n")[2]))
        done = self.verify("--checkpoint", forged, status=1)
        self.assertIn("not one of this key's", done.err)

    def test_07_another_key_verifies_nothing(self):
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
             self.world.path("other.key")])
        run(["openssl", "ec", "-in", self.world.path("other.key"), "-pubout", "-out",
             self.world.path("other.pem")])
        done = self.audit("verify", "--folder", self.world.path("state", "audit"), "--public-key",
                          self.world.path("other.pem"), status=1)
        self.assertIn("not signed by a key that was given", done.err)

    def test_08_every_record_is_proved(self):
        size = int(self.second.split("\n")[1])
        for seq in range(1, size + 1):
            proof = self.audit("prove", str(seq), "--folder", self.world.path("state", "audit"),
                               "--checkpoint", self.world.path("second")).out
            told = json.loads(proof)
            self.assertEqual(json.loads(told["record"])["seq"], seq)
            leaf = hashlib.sha256(b"\0" + told["record"].encode() + b"\n").digest()
            self.assertEqual(root_by_inclusion(seq - 1, size, leaf, [
                base64.b64decode(p) for p in told["proof"]]), read_note(told["checkpoint"])[1])
            done = self.audit("verify-proof", self.save("proof", proof), "--public-key",
                              self.world.path("audit.line"))
            self.assertIn(f"record {seq} is in the log", done.out)
            changed = json.loads(proof)
            changed["record"] = changed["record"].replace('"kind":"', '"kind":"admin', 1)
            self.audit("verify-proof", self.save("proof", json.dumps(changed)), "--public-key",
                       self.world.path("audit.line"), status=1)

    def test_09_a_record_stands_where_it_stands(self):
        proof = json.loads(self.audit("prove", "2", "--folder", self.world.path("state", "audit"),
                                      "--checkpoint", self.world.path("second")).out)
        proof["record"] = proof["record"].replace('"seq":2', '"seq":3')
        proof["seq"] = 3
        done = self.audit("verify-proof", self.save("proof", json.dumps(proof)), "--public-key",
                          self.world.path(PUBLIC_KEY), status=1)
        self.assertIn("does not show record 3", done.err)

    def test_10_one_checkpoint_continues_another(self):
        proof = self.audit("prove", "--from", self.world.path("first"), "--checkpoint",
                           self.world.path("second"), "--folder",
                           self.world.path("state", "audit")).out
        done = self.audit("verify-proof", self.save("proof", proof), "--public-key",
                          self.world.path(PUBLIC_KEY))
        self.assertIn("continues the older one", done.out)
        backwards = json.loads(proof)
        (old, root), (new, newer) = read_note(self.first), read_note(self.second)
        self.assertEqual(roots_by_consistency(old, new, root, [
            base64.b64decode(p) for p in backwards["proof"]]), (root, newer))
        backwards["from"], backwards["checkpoint"] = backwards["checkpoint"], backwards["from"]
        self.audit("verify-proof", self.save("proof", json.dumps(backwards)), "--public-key",
                   self.world.path(PUBLIC_KEY), status=1)

    def test_11_a_record_is_proved_by_the_last_stored_checkpoint(self):
        proof = self.audit("prove", "1", "--folder", self.world.path("state", "audit")).out
        self.assertEqual(json.loads(proof)["seq"], 1)

    def test_12_exported_and_logged(self):
        name = f"checkpoint-{int(self.second.split(chr(10))[1]):019d}"
        with open(self.world.path("export", name), encoding="utf-8") as file:
            self.assertEqual(file.read(), self.second)
        origin, size, root, _, signature = self.second.rstrip("\n").split("\n")
        line = f"audit checkpoint: {origin} {size} {root} {signature.split(' ', 1)[1]}"
        self.assertIn(line, self.world.log())
        fields = line.split(" ")[2:]
        again = subprocess.run(["printf", "%s\\n%s\\n%s\\n\\n— %s %s\\n", *fields],
                               capture_output=True, check=True).stdout
        self.assertEqual(again.decode(), self.second)    # the recipe of docs/operations.md

    def figure(self, name):
        with open(self.world.path("figures", "acmeward.prom"), encoding="ascii") as file:
            return float(re.search(rf"(?m)^acmeward_{name} (\S+)$", file.read()).group(1))

    def program(self, name, hand_over):
        """The packaged program, which somebody has changed as it says."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                               "../../packaging/examples/checkpoint-export.sh"),
                  encoding="ascii") as file:
            text, count = re.subn(r"(?ms)^hand_over\(\) \{\n.*?^\}$",
                                  "hand_over() {\n" + hand_over + "\n}", file.read())
        self.assertEqual(count, 1)
        return self.save(name, text)

    def test_13_status_and_usage(self):
        self.assertIn("checkpoint of ", self.world.admin("status").out)
        self.assertEqual(self.world.admin("audit", "key", "show").out, self.key)
        for words in (["prove"], ["prove", "1", "--from", "x"], ["prove", "x"], ["prove", "0"],
                      ["key", "destroy"], ["verify-proof", "x"]):
            self.world.admin("audit", *words, status=2)
        self.world.admin("audit", "prove", "1000000", status=1)

    def test_14_show_counts_and_refuses_what_it_does_not_know(self):
        world = self.world
        world.admin("unfreeze")
        world.certonly("app.dept.example.edu", "other.dept.example.edu", status=3)
        everything = len(world.records())
        asked = len(world.records("--application", "app"))
        self.assertEqual(len([r for r in world.records() if r.get("application") == "app"]), asked)
        for words, count in ((["--verdict", "permit", "--last", "2"], 2),
                             (["--application", "app"], asked),
                             (["--application=app", "--verdict=permit"], 0),
                             (["--name", "APP.dept.example.edu"], asked),
                             (["--name", "b\u00fccher.example"], 0),
                             (["--name", "192.0.2.1"], 0),
                             (["--since", "2020-01-01"], everything),
                             (["--until", "2020-01-01T00:00:00Z"], 0)):
            done = world.admin("audit", "show", *words)
            self.assertRegex(done.out, rf"(?m)^{count} of {everything} records$", words)
            self.assertEqual(len(re.findall(r"(?m)^ *\d+  20", done.out)), count, words)
        done = world.admin("audit", "show", "--application", "nobody", status=1)
        self.assertIn(f'none of the {everything} records is of "nobody"', done.err)
        for words, text in ((["--verdict", "maybe"], "permit, refuse or warn"),
                            (["--since", "yesterday"], "--since"),
                            (["--until", "2026-02-30"], "--until"),
                            (["--last", "0"], "--last"), (["--last", "x"], "--last"),
                            (["--application", "No Body"], "--application"),
                            (["--name", "a b"], "--name"),
                            (["--kind", "x"], "no kind of record"),
                            (["--user", "x"], "unknown option")):
            done = world.admin("audit", "show", *words, status=2)
            self.assertIn(text, done.err)

    def test_14_x_an_export_program_that_hangs_keeps_nobody_waiting(self):
        world = self.world
        folder = world.path("export")
        waiting = lambda: sorted(os.listdir(folder))
        left = waiting()
        self.assertTrue(left)
        # Each ignores the order to end, as a service it is killed with its children.
        hang = "trap '' TERM\n"
        running = [subprocess.Popen(["sh", self.program(name, hang + body), folder],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    start_new_session=True)
                   for name, body in (("never", "while :; do sleep 60; done"),
                                      ("fills", "while :; do echo x; echo x >&2; done"),
                                      ("child", "sleep 600 &\nwait"))]
        for body in ("return 1", "/nonexistent/gone \"$1\""):
            self.assertNotEqual(subprocess.run(["sh", self.program("fails", body), folder],
                                               capture_output=True, check=False).returncode, 0)
        world.certonly("app.dept.example.edu")
        world.admin("audit", "checkpoint")
        status = world.admin("status").out
        self.assertRegex(status, rf"exported and not fetched yet: {len(left) + 1}, the oldest for ")
        wait_until("figures", lambda: self.figure("export_waiting_files") == len(left) + 1)
        self.assertGreaterEqual(self.figure("export_waiting_seconds"), 0)
        self.assertEqual(self.figure("checkpoint_failing"), 0)
        for process in running:
            self.assertIsNone(process.poll())
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.assertEqual(len(waiting()), len(left) + 1)
        # One that does its work takes all of them, once.
        os.mkdir(world.path("elsewhere"))
        run(["sh", self.program("works", f"cp -- \"$1\" {world.path('elsewhere')}"), folder])
        self.assertEqual((waiting(), len(os.listdir(world.path("elsewhere")))), ([], len(left) + 1))
        world.admin("audit", "checkpoint")     # the count is that of a moment ago
        run(["sh", world.path("works"), folder])

    def test_14_y_a_folder_that_is_gone_is_caught_up_with(self):
        world = self.world
        os.rename(world.path("export"), world.path("away"))
        world.admin("freeze", "--reason", "test")
        done = world.admin("audit", "checkpoint", status=1)
        self.assertIn("export: can't replace", done.err)
        self.assertIn("NOT EXPORTED: export: can't replace", world.admin("status").out)
        wait_until("figures", lambda: self.figure("checkpoint_failing") == 1)
        world.admin("unfreeze")
        world.certonly("second.dept.example.edu")
        os.rename(world.path("away"), world.path("export"))
        last = world.admin("audit", "checkpoint").out
        name = f"checkpoint-{int(last.split(chr(10))[1]):019d}"
        with open(world.path("export", name), encoding="utf-8") as file:
            self.assertEqual(file.read(), last)
        self.assertNotIn("NOT EXPORTED", world.admin("status").out)

    def test_14_z_what_syslog_missed_is_forwarded_later(self):
        world = self.world
        self.assertIn("NOT FORWARDED: ", world.admin("status").out)
        count = len(world.records())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(world.path("syslog"))
            receiver.settimeout(20)
            for seq in range(1, count + 1):
                text = receiver.recv(128 * 1024).decode()
                self.assertRegex(text, rf'^<8[0-9]>1 2.*Z .* acmeward-signer \d+ audit '
                                       rf'\[acmeward@32473 seq="{seq}" ')
                self.assertEqual(json.loads(text.split("] ", 1)[1])["seq"], seq)
            wait_until("status", lambda: "NOT FORWARDED" not in world.admin("status").out)
            self.assertIn(f"up to record {count}, 0 behind", world.admin("status").out)
        os.unlink(world.path("syslog"))

    def test_14_zz_a_receiver_that_stops_reading_keeps_nobody_waiting(self):
        """Its buffer is full: what it does not take is counted and said, and comes later, in order."""
        world = self.world
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(world.path("syslog"))
            receiver.settimeout(20)
            first = len(world.records()) + 1
            behind, status = 0, ""
            for number in range(40):    # the kernel holds net.unix.max_dgram_qlen of them
                world.certonly(f"n{number}.many.dept.example.edu")
                status = world.admin("status").out
                behind = int(re.search(r"(\d+) behind", status).group(1))
                if behind > 10 and "NOT FORWARDED: " in status:     # not only slow
                    break
            self.assertGreater(behind, 10, status)
            self.assertIn("NOT FORWARDED: ", status)
            self.assertIn("takes no more at present", status)
            wait_until("figures", lambda: self.figure("forward_lag_records") > 0)
            for seq in range(first, len(world.records()) + 1):
                self.assertIn(f' seq="{seq}" ', receiver.recv(128 * 1024).decode())
            wait_until("status", lambda: "NOT FORWARDED" not in world.admin("status").out)
        os.unlink(world.path("syslog"))
        wait_until("figures", lambda: self.figure("forward_lag_records") == 0)

    def test_14_zzz_nobody_reads_what_the_signer_says(self):
        """Its messages go to a pipe that is full: they are left out and counted, nothing waits."""
        world = self.world
        world.stop_signer()
        log, world.signer_log = world.signer_log, world.path("said")
        os.mkfifo(world.signer_log)
        reader = os.open(world.signer_log, os.O_RDWR | os.O_NONBLOCK)
        try:
            with self.assertRaises(BlockingIOError):
                while True:
                    os.write(reader, b"x" * 4096)
            world.spawn_signer()
            wait_until("the signer", lambda: listens(world.socket) and listens(world.admin_socket))
            world.signer_log = log
            world.admin("reload")
            world.certonly("silent.many.dept.example.edu")
            self.assertRegex(world.admin("status").out, r"LINES LEFT OUT: [1-9]")
            wait_until("figures", lambda: self.figure("log_lost_total") > 0)
            with self.assertRaises(BlockingIOError):
                while os.read(reader, 4096).startswith(b"x"):
                    pass
                os.read(reader, 4096)
            world.admin("reload")
            self.assertRegex(os.read(reader, 4096).decode(), r": [1-9]\d* lines were left out here: ")
        finally:
            os.close(reader)
        world.stop_signer()
        world.start_signer()

    def test_15_a_segment_is_closed_and_archived(self):
        """Attack 101: what is not at hand is said, not passed over; the signer goes on without it."""
        world = self.world
        log, archive = world.path("state", "audit"), world.path("archive")
        os.mkdir(archive)
        closed = world.admin("--json", "audit", "rotate").json()
        self.assertEqual((closed["segment"], closed["first"]), (1, 1))
        again = world.admin("audit", "rotate").out     # holds the record of the rotation itself
        self.assertIn(f"segment 2 is closed: records {closed['last'] + 1} to", again)
        wait_until("a checkpoint of the closed segments", lambda: world.admin(
            "--json", "status").json()["checkpoint_size"] > closed["last"])
        whole = self.verify("--json").json()
        self.assertEqual((whole["complete"], whole["segments"], whole["absent"]), (True, 2, []))
        os.rename(os.path.join(log, "audit-000001.jsonl"),
                  os.path.join(archive, "audit-000001.jsonl"))
        done = self.verify(status=1)
        self.assertIn("segment 1 of the log (audit-000001.jsonl) is not in", done.err)
        self.assertIn("--archive", done.err)
        done = self.verify("--partial")
        self.assertIn(f"NOT VERIFIED: segment 1, records 1 to {closed['last']}", done.out)
        done = self.verify("--partial", "--checkpoint", world.path("first"))
        self.assertRegex(done.out, r"first of \d+ records: NOT COMPARED")
        self.assertIn("the others are NOT COMPARED, signed", done.out)
        self.assertEqual(done.out.count("the log continues"), 1)
        part = self.verify("--partial", "--json", "--checkpoint", world.path("first")).json()
        self.assertEqual((part["complete"], part["absent"]), (False, [closed]))
        self.assertFalse(part["checkpoints"][0]["compared"])
        self.assertEqual(part["verified"], part["records"] - closed["last"])
        self.assertGreater(part["unchecked_checkpoints"], 0)
        all_of_it = self.verify("--archive", archive, "--checkpoint", world.path("first"), "--json")
        self.assertTrue(all_of_it.json()["complete"])
        world.admin("audit", "show", status=1)
        self.assertIn("are left out", world.admin("audit", "show", "--partial").err)
        self.assertIn('"seq":1,', world.admin("--json", "audit", "show", "--archive", archive).out)
        world.admin("certificates", "--archive", archive)
        self.assertIn("are left out", world.admin("certificates", "--partial").err)
        world.stop_signer()
        world.start_signer()
        self.assertIn("the audit log was read from record", world.log())
        self.assertIn("2 closed segments", world.admin("status").out)
        # A changed record in the archive, and a start for which the ledger must be made anew.
        with open(os.path.join(archive, "audit-000001.jsonl"), "r+b") as file:
            os.fchmod(file.fileno(), 0o640)
            file.seek(len('{"seq":'))
            file.write(b"9")
        done = self.verify("--archive", archive, status=1)
        self.assertIn("audit-000001.jsonl: ", done.err)
        world.stop_signer()
        os.unlink(world.path("state", "ledger.db"))
        world.spawn_signer()
        self.assertNotEqual(world.signer.wait(20), 0)
        self.assertIn("segment 1 of the log", world.log())
        with open(os.path.join(archive, "audit-000001.jsonl"), "r+b") as file:
            file.seek(len('{"seq":'))
            file.write(b"1")
        os.rename(os.path.join(archive, "audit-000001.jsonl"),
                  os.path.join(log, "audit-000001.jsonl"))
        world.signer = None
        world.start_signer()
        self.assertTrue(self.verify("--json").json()["complete"])

    def test_15_z_the_key_is_rotated(self):
        """Whoever has the first key's public half follows, without signer and token."""
        world = self.world
        world.admin("audit", "key", "turn", status=2)
        new = world.admin("audit", "key", "rotate").out.split("\n", 1)[0]
        self.assertNotEqual(new, self.line)
        self.assertEqual(world.admin("audit", "key", "show").out.split("\n", 1)[0], new)
        for _ in range(2):      # the new key goes on, after a restart too
            self.save("kept", world.admin("audit", "checkpoint").out)
            done = self.verify("--checkpoint", world.path("kept"))
            self.assertIn("the log continues it, signed", done.out)
            self.assertIn(f"names {new}\n", done.out)
            world.stop_signer()
            world.start_signer()
        newest = world.admin("audit", "key", "rotate").out.split("\n", 1)[0]
        self.save("kept", world.admin("audit", "checkpoint").out)
        done = self.verify("--checkpoint", world.path("kept"), "--json").json()
        self.assertEqual(done["key_changes"], 2)
        self.save("new.line", newest + "\n")
        self.audit("verify", "--folder", world.path("state", "audit"), "--public-key",
                   world.path("new.line"), status=1)   # nobody says whose the older ones are
        named = [record for record in world.records() if record.get("operation") == "audit-key-next"]
        self.assertEqual([record["message"] for record in named], [new, newest])
        # A record is the word of the log alone, until a trusted key signed a checkpoint over it.
        self.assertNotIn(newest, self.verify(folder=self.copy_with_checkpoints(
            int(named[0]["seq"]))).out)

    def test_15_zz_attack_101_a_key_named_in_a_log_that_was_not_compared(self):
        """An absent segment hides the old key's checkpoint: its successor is nobody's word."""
        world, folder = self.world, self.world.path("forged-log")
        os.mkdir(folder)
        run(["openssl", "pkey", "-in", world.path("other.key"), "-pubout", "-outform", "DER",
                   "-out", world.path("other.der")])
        with open(world.path("other.der"), "rb") as file:
            own = file.read()
        key_id = hashlib.sha256(own).digest()[:4]
        line = f"{ORIGIN}+{key_id.hex()}+{base64.b64encode(bytes([2]) + own).decode()}"
        with open(os.path.join(folder, "audit-000001.jsonl"), "w", encoding="ascii") as file:
            file.write(json.dumps({
                "seq": 1, "time": "2026-11-24T00:00:00Z", "kind": "admin", "uid": 0, "user": "root",
                "operation": "audit-key-next", "verdict": "permit",
                "key": hashlib.sha256(own).hexdigest(), "message": line, "prev": "0" * 64},
                separators=(",", ":")) + "\n")
        size, root = 1 << 20, base64.b64encode(b"x" * 32).decode()
        with open(os.path.join(folder, "audit-000002.mark"), "w", encoding="ascii") as file:
            file.write(json.dumps({"segment": 2, "first": 2, "last": size, "octets": 1,
                                   "time": "2026-11-24T00:00:00Z", "head": "0" * 64,
                                   "tree": [root]}, separators=(",", ":")) + "\n")
        self.save("forged-log/audit.jsonl", "")
        body = f"{ORIGIN}\n{size}\n{root}\n"
        run(["openssl", "dgst", "-sha256", "-sign", world.path("other.key"), "-out",
             world.path("signature"), self.save("body", body)])
        with open(world.path("signature"), "rb") as file:
            signature = base64.b64encode(key_id + file.read()).decode()
        self.save("forged-log/checkpoints",
                  f"{self.second}\n{body}\n\u2014 {ORIGIN} {signature}\n\n")
        done = self.verify("--partial", folder=folder, status=1)
        self.assertIn("could not be held against a checkpoint of the key before it", done.err)

    def copy_with_checkpoints(self, most):
        """The log's folder with the stored checkpoints of at most so many records."""
        folder = self.copy()
        path = os.path.join(folder, "checkpoints")
        with open(path, encoding="utf-8") as file:
            notes = re.findall(r"[^\n]+\n\d+\n[^\n]+\n\n(?:\u2014 [^\n]+\n)+\n", file.read())
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(note for note in notes if int(note.split("\n")[1]) <= most))
        return folder

    def test_16_attack_101_the_log_lost_under_the_running_signer(self):
        """Signing stops; the rows of unlink, rename, truncate and append are unit.audit_faults."""
        world = self.world
        path = world.path("state", "audit", "audit.jsonl")
        run(["cp", path, path + ".copy"])
        os.truncate(path, 0)          # copytruncate, as logrotate does it
        world.signer.wait(20)
        self.assertNotEqual(world.signer.returncode, 0)
        self.assertIn("was cut while it was open", world.log())
        world.signer = None
        world.spawn_signer()          # the empty log is not that of the checkpoints beside it
        self.assertNotEqual(world.signer.wait(20), 0)
        self.assertIn("cut back", world.log())
        world.signer = None


if __name__ == "__main__":
    unittest.main(verbosity=2)
