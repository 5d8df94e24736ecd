#!/usr/bin/python3
"""Key ceremonies with Pebble and SoftHSM: wrapped import, rotation, adoption, recovery."""

import base64
import hashlib
import json
import os
import signal
import socket
import ssl
import unittest
import urllib.request

from sshd import NAMESPACE
from world import ADMIN, World, environment, run
from scripted_ca import ScriptedCa, problem

NAME = "app.dept.example.edu"


def call(path, method, parameters):
    """Varlink by hand."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(path)
        link.sendall(json.dumps({"method": method, "parameters": parameters}).encode() + b"\0")
        data = b""
        while not data.endswith(b"\0"):
            data += link.recv(65536)
    answer = json.loads(data[:-1])
    assert "error" not in answer, answer
    return answer["parameters"]


def ask(world, method, **parameters):
    """A step of a ceremony alone: to end it where it hurts."""
    return call(world.admin_socket, "org.acmeward.Admin." + method, parameters)


class Ca:
    """Pebble by hand."""

    def __init__(self, world):
        self.context = ssl.create_default_context(cafile=world.ca.ca_file)
        with urllib.request.urlopen(world.ca.directory, context=self.context) as answer:
            self.directory = json.load(answer)

    def nonce(self):
        request = urllib.request.Request(self.directory["newNonce"], method="HEAD")
        with urllib.request.urlopen(request, context=self.context) as answer:
            return answer.headers["Replay-Nonce"]

    def post(self, signed):
        request = urllib.request.Request(
            signed["url"], data=json.dumps(signed["jws"]).encode(),
            headers={"Content-Type": "application/jose+json"})
        with urllib.request.urlopen(request, context=self.context) as answer:
            return answer.headers["Location"], json.loads(answer.read() or b"{}")


ACCOUNT = "loopback-ov"


def account(world, name=ACCOUNT):
    shown = world.admin("--json", "account", "show", name).json()
    return {name: shown[name] for name in shown if name != "last_use"}


def last_use(world):
    return world.admin("--json", "account", "show", ACCOUNT).json()["last_use"]


def private_keys(world):
    objects = world.admin("--json", "token", "doctor").json()["objects"]
    return sorted(item["label"] for item in objects if item["kind"].startswith("private key"))


class Rotation(unittest.TestCase):
    def setUp(self):
        self.world = self.enterContext(World())
        self.world.application("app", exact=[NAME])
        self.world.start()
        self.before = account(self.world)

    def rotated(self, done):
        now = account(self.world)
        self.assertEqual(now["url"], self.before["url"])
        self.assertNotEqual(now["thumbprint"], self.before["thumbprint"])
        self.assertEqual(now["key_change"], "none")
        self.assertIn("old key was refused by the CA", done.out)
        self.assertEqual(len(private_keys(self.world)), 1)
        self.world.certonly(NAME, words=["--force-renewal"])

    def older_state(self, kept):
        """A copy of the state from before both changes: the account is found by the token's key."""
        self.world.stop_signer()
        with open(self.file, "wb") as file:
            file.write(kept)
        self.world.start_signer()
        self.assertIn("has no private key", self.world.admin("status").text)
        done = self.world.admin("account", "recover", ACCOUNT, "--yes")
        self.assertIn(f"account register {ACCOUNT} --recover finds it again", done.out)
        self.world.admin("account", "register", ACCOUNT, "--recover")
        self.assertEqual(account(self.world)["thumbprint"], self.before["thumbprint"])
        self.assertEqual(account(self.world)["url"], self.before["url"])
        self.world.certonly(NAME, words=["--force-renewal"])

    def lost_keys(self):
        """Another token in the place of the one that had them: doctor names whose they were."""
        self.assertNotIn("the account's key", self.world.admin("doctor", status=1).out)
        self.world.stop_signer()
        for folder, _, names in os.walk(self.world.token["TOKEN_FOLDER"]):
            for name in names:
                if name.endswith(".object") and name != "token.object":
                    os.remove(os.path.join(folder, name))
        self.world.start_signer()
        self.assertRegex(self.world.admin("doctor", status=1).out,
                         f"{ACCOUNT} +the token does not have the account's key")

    def test_rotated_twice(self):
        self.file = os.path.join(self.world.path("state"), "accounts", ACCOUNT + ".json")
        with open(self.file, "rb") as file:
            kept = file.read()
        self.world.certonly(NAME)
        self.rotated(self.world.admin("account", "rotate", ACCOUNT))
        self.before = account(self.world)
        self.rotated(self.world.admin("account", "rotate", ACCOUNT))
        self.assertEqual(private_keys(self.world), [f"acmeward-account:{ACCOUNT}:2"])
        operations = [record.get("operation") for record in self.world.records()]
        for operation in ("key-change-start", "key-change", "key-change-confirm", "account-query",
                          "old-key-destroy"):
            self.assertEqual(operations.count(operation), 4 if operation == "account-query" else 2)
        self.before = account(self.world)
        self.older_state(kept)
        self.lost_keys()

    def kill(self):
        self.world.stop_signer(number=signal.SIGKILL, status=-signal.SIGKILL)
        self.world.start_signer()

    def test_killed_after_each_step(self):
        """The signer is killed and the administrator's program never came further."""
        ca = Ca(self.world)
        steps = (
            lambda: ask(self.world, "StartKeyChange", account=ACCOUNT),
            lambda: ask(self.world, "SignKeyChange", account=ACCOUNT, nonce=ca.nonce()),
            lambda: ca.post(ask(self.world, "SignKeyChange", account=ACCOUNT, nonce=ca.nonce())),
            lambda: ask(self.world, "ConfirmKeyChange", account=ACCOUNT, url=self.before["url"]),
        )
        for last in range(len(steps)):
            with self.subTest(last=last):
                self.before = account(self.world)
                for step in steps[:last + 1]:
                    step()
                self.kill()
                self.rotated(self.world.admin("account", "rotate", ACCOUNT))

    def test_cancelled_before_and_after_it_was_signed(self):
        ca = Ca(self.world)
        ask(self.world, "StartKeyChange", account=ACCOUNT)
        self.world.admin("account", "rotate", ACCOUNT, "--cancel")
        ask(self.world, "StartKeyChange", account=ACCOUNT)
        ask(self.world, "SignKeyChange", account=ACCOUNT, nonce=ca.nonce())
        self.world.admin("account", "rotate", ACCOUNT, "--cancel")
        self.assertEqual(account(self.world), self.before)
        ask(self.world, "StartKeyChange", account=ACCOUNT)
        ca.post(ask(self.world, "SignKeyChange", account=ACCOUNT, nonce=ca.nonce()))
        done = self.world.admin("account", "rotate", ACCOUNT, "--cancel", status=1)
        self.assertIn("has the new key", done.text)
        self.rotated(self.world.admin("account", "rotate", ACCOUNT))
        self.assertIn("no key change",
                      self.world.admin("account", "rotate", ACCOUNT, "--cancel", status=1).text)

    def signer(self, method, **parameters):
        return call(self.world.socket, "org.acmeward.Signer." + method, parameters)

    def test_an_order_goes_on_after_it(self):
        """The kid stays: what was ordered with the old key is asked for with the new one."""
        ca = Ca(self.world)
        signed = self.signer("NewOrder", nonce=ca.nonce(),
                             identifiers=[{"type": "dns", "value": NAME}])
        url, order = ca.post(signed)
        self.signer("ClaimUrls", order=signed["order"], urls=[
            {"kind": "order", "url": url}, {"kind": "finalize", "url": order["finalize"]}])
        self.rotated(self.world.admin("account", "rotate", ACCOUNT))
        _, again = ca.post(self.signer("PostAsGet", order=signed["order"], url=url,
                                       nonce=ca.nonce()))
        self.assertEqual(again["finalize"], order["finalize"])


class Ends(unittest.TestCase):
    """Contacts, CAA records, the end of an account, and the loss of a token's keys."""

    def test_from_contacts_to_another_account(self):
        world = self.enterContext(World(ceiling=("dept.example.edu", "192.0.2.0/24")))
        world.application("app", exact=[NAME])
        world.start()
        first = account(world)
        self.assertEqual(first["contact"], "mailto:admin@dept.example.edu")
        self.assertIn("did not tell its name", world.admin("account", "show", ACCOUNT).out)
        self.caa(world, first)
        self.last_use(world)
        world.admin("account", "update", ACCOUNT, status=2)
        world.admin("account", "update", ACCOUNT, "--contact", "new@dept.example.edu")
        self.assertEqual(account(world)["contact"], "mailto:new@dept.example.edu")
        long = "a" * 300 + "@dept.example.edu"    # whole, or not at all
        world.admin("account", "update", ACCOUNT, "--contact", long, status=None)
        self.assertIn(account(world)["contact"],
                      ("mailto:new@dept.example.edu", f"mailto:{long}"))
        self.assertIn("in the token", world.admin("account", "recover", ACCOUNT, "--yes",
                                                  status=1).text)
        self.assertIn("--yes", world.admin("account", "deactivate", ACCOUNT, status=2).text)
        world.admin("account", "deactivate", ACCOUNT, "--yes")
        self.assertEqual(account(world)["state"], "deactivated")
        self.assertNotEqual(
            world.certonly(NAME, words=("--force-renewal",), status=None).status, 0)
        self.another(world, first)

    def caa(self, world, shown):
        """As a CA that tells its name would have it pinned; Pebble tells none."""
        pin = next(ca["pin"] for ca in world.admin("--json", "ca", "list").json()["cas"])
        ask(world, "PinCa", ca="loopback", replace=True, pin={**pin, "caaIdentities": "ca.example"})
        record = (f'dept.example.edu. CAA 0 issue "ca.example; accounturi={shown["url"]}"')
        self.assertIn(record, world.admin("account", "show", ACCOUNT).out)
        self.assertEqual(account(world)["caa"], [record])

    def last_use(self, world):
        """By an administrator's newAccount, then by an application; found in a closed segment too."""
        used = last_use(world)
        self.assertEqual(used["operation"], "new-account")
        self.assertNotIn("application", used)
        world.certonly(NAME)
        used = last_use(world)
        record = next(record for record in world.records() if record["seq"] == used["record"])
        self.assertEqual((used["application"], record["application"]), ("app", "app"))
        self.assertEqual(used["operation"], record["operation"])
        self.assertFalse([record for record in world.records()
                          if record["seq"] > used["record"] and record.get("input")])
        for _ in range(2):
            world.admin("audit", "rotate")
        self.assertEqual(last_use(world), used)
        self.assertIn(f"for app, record {used['record']}\n",
                      world.admin("account", "show", ACCOUNT).out)

    def another(self, world, first):
        done = world.admin("account", "recover", ACCOUNT, "--yes")
        for part in (first["url"], first["thumbprint"], "eab import", "deactivate"):
            self.assertIn(part, done.out)
        world.admin("account", "register", ACCOUNT, "--kid", world.ca.kid, "--agree-tos")
        now = account(world)
        self.assertNotEqual(now["url"], first["url"])
        self.assertEqual((now["former_url"], now["former_thumbprint"]),
                         (first["url"], first["thumbprint"]))
        world.certonly(NAME)


def to_jwk(pem):
    """An EC key in PEM form as a JWK (RFC 7518 6.2)."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    numbers = load_pem_private_key(pem, None).private_numbers()

    def text(number):
        return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
    public = numbers.public_numbers
    return json.dumps({"kty": "EC", "crv": "P-256", "x": text(public.x), "y": text(public.y),
                       "d": text(numbers.private_value)})


class Adoption(unittest.TestCase):
    """Accounts that other clients made, as their packages do: each test has an account of its own."""

    CLIENTS = ("certbot", "lego", "uacme", "acme-sh", "nobody")
    BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

    @classmethod
    def setUpClass(cls):
        # Their accounts are made without EAB: they take its key on the command line only.
        cls.world = cls.enterClassContext(World(pebble={"require_eab": False}))
        for client in cls.CLIENTS:
            cls.world.application(client, account=client, exact=[f"{client}.dept.example.edu"])
        cls.world.write_config("".join(
            f"  - {{name: {client}, ca: loopback, key: ec-p256, ceiling: [dept.example.edu]}}\n"
            for client in cls.CLIENTS))
        cls.world.start_signer()
        cls.world.admin("ca", "pin", "loopback", "--yes")
        cls.other = cls.world.path("other-client")
        os.mkdir(cls.other)
        cls.environment = environment(REQUESTS_CA_BUNDLE=cls.world.ca.ca_file,
                                      LEGO_CA_CERTIFICATES=cls.world.ca.ca_file, HOME=cls.other)

    def certbot(self):
        folders = [word for name in ("config", "work", "logs")
                   for word in (f"--{name}-dir", os.path.join(self.other, name))]
        run(["/usr/bin/certbot", "register", "--non-interactive", "--agree-tos", "--email",
             "a@dept.example.edu", "--server", self.world.ca.directory, *folders],
            env=self.environment)
        return self.find("private_key.json")

    def lego(self):
        run(["/usr/bin/lego", "--server", self.world.ca.directory, "--email", "a@dept.example.edu",
             "--accept-tos", "--path", self.other, "--http", "--http.port",
             f":{self.world.http_port}", "--domains", NAME, "run"], env=self.environment)
        return self.find("a@dept.example.edu.key")

    def uacme(self, folder, *words):
        """Its account's key and URL. It believes the system's roots alone: those are ours for it."""
        inside = [*NAMESPACE, "sh", "-c",
                  'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", self.world.ca.ca_file,
                  self.BUNDLE]
        if run([*inside, "true"], status=None).status != 0:
            self.skipTest("needs a mount namespace, which this container is not allowed")
        done = run([*inside, "/usr/bin/uacme", "-v", "-y", "-a", self.world.ca.directory, "-c",
                    folder, *words, "new", "a@dept.example.edu"], env=self.environment)
        url = next(line for line in done.err.splitlines() if "account created at" in line)
        return os.path.join(folder, "private", "key.pem"), url.split()[-1]

    def acme_sh(self):
        """A folder of acme.sh, which Debian lacks: its key as it makes one, registered by uacme."""
        made = os.path.join(self.other, "by-uacme")
        os.makedirs(os.path.join(made, "private"), 0o700)
        run(["openssl", "ecparam", "-name", "prime256v1", "-noout", "-genkey", "-out",
             os.path.join(made, "private", "key.pem")])
        key, url = self.uacme(made, "--never-create")
        folder = os.path.join(self.other, ".acme.sh", "ca", "127.0.0.1", "dir")
        os.makedirs(folder)
        os.rename(key, os.path.join(folder, "account.key"))
        with open(os.path.join(folder, "account.json"), "w", encoding="ascii") as file:
            json.dump({"status": "valid"}, file)
        with open(os.path.join(folder, "ca.conf"), "w", encoding="ascii") as file:
            file.write(f"CA_EAB_KEY_ID='kid-9'\nCA_EAB_HMAC_KEY='c2VjcmV0'\n"
                       f"ACCOUNT_URL='{url}'\n")
        return os.path.join(folder, "account.key"), url

    def find(self, wanted):
        return next(os.path.join(folder, wanted) for folder, _, names in os.walk(self.other)
                    if wanted in names)

    def adopt(self, name, path, *words, status=0):
        return self.world.admin("account", "adopt", name, "--key-file", path, *words, status=status)

    def adopted(self, name, path, done):
        self.assertIn("old key was refused by the CA", done.out)
        self.assertFalse(os.path.exists(path))
        self.assertIn("backups", done.out)
        self.assertEqual(account(self.world, name)["state"], "registered")
        self.world.certonly(f"{name}.dept.example.edu", words=("--application", name))

    def test_certbot(self):
        path = self.certbot()
        with open(os.path.join(os.path.dirname(path), "regr.json"), encoding="ascii") as file:
            url = json.load(file)["uri"]
        self.adopt("certbot", path, "--url", url + "0", status=1)
        done = self.adopt("certbot", path, "--url", url)
        self.assertIn("read an account key: RSA (JWK)", done.out)
        self.assertEqual(account(self.world, "certbot")["url"], url)
        self.adopted("certbot", path, done)

    def test_lego_killed_after_the_change(self):
        path = self.lego()
        with open(path, "rb") as file:
            pem = file.read()
        done = self.adopt("lego", path, "--keep-file")
        self.assertIn("read an account key: EC (PEM)", done.out)
        self.assertTrue(os.path.exists(path))
        # Again, as after an end in the middle, and from the other form of a key.
        with open(path, "w", encoding="ascii") as file:
            file.write(to_jwk(pem))
        done = self.adopt("lego", path)
        self.assertIn("read an account key: EC (JWK)", done.out)
        self.adopted("lego", path, done)

    def test_uacme(self):
        path, url = self.uacme(os.path.join(self.other, "uacme"))
        done = self.adopt("uacme", path)    # it keeps no URL
        self.assertIn("read an account key: RSA (PEM)", done.out)
        self.assertEqual(account(self.world, "uacme")["url"], url)
        self.assertNotIn("EAB", done.text)
        self.adopted("uacme", path, done)

    def test_acme_sh_which_leaves_an_eab_key(self):
        path, url = self.acme_sh()
        self.adopt("acme-sh", path, "--url", url + "0", status=1)
        done = self.adopt("acme-sh", path, "--url", url)
        self.assertIn("read an account key: EC (PEM)", done.out)
        self.assertIn("ca.conf still holds an EAB HMAC key", done.out)
        self.assertNotIn("c2VjcmV0", done.text)
        self.adopted("acme-sh", path, done)

    def test_what_is_no_account_key(self):
        path = self.world.path("key")
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
        done = self.adopt("nobody", path, status=4)
        self.assertIn("no account for the key", done.text)
        self.assertTrue(os.path.exists(path), "it was not destroyed")
        os.symlink(path, path + ".link")
        self.adopt("nobody", path + ".link", status=1)
        for text in ("", "{}", '{"kty":"oct","k":"AAAA"}', "-----BEGIN PUBLIC KEY-----\n"):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            self.assertIn("private_key.json", self.adopt("nobody", path, status=1).text)


class AwkwardKeyChange(unittest.TestCase):
    """What a CA may say to keyChange."""

    URL = "/account/1"

    def course(self, change, lookups, queries, words=(), status=0):
        with World() as world:
            world.application("app", exact=[NAME])
            found = (201, {"Location": "ORIGIN" + self.URL}, "{}")
            table = {("POST", "/new-account"): [found, *lookups], ("POST", "/key-change"): change,
                     ("POST", self.URL): queries}
            with ScriptedCa(world.path("scripted"), table) as ca:
                for answers in table.values():
                    if isinstance(answers, list):
                        answers[:] = [(code, {name: value.replace("ORIGIN", ca.origin) for name, value
                                              in headers.items()}, body)
                                      for code, headers, body in answers]
                world.write_config(directory=ca.directory)
                with open(world.config, encoding="ascii") as file:
                    text = file.read().replace(world.ca.ca_file, ca.ca_file)
                with open(world.config, "w", encoding="ascii") as file:
                    file.write(text)
                world.start_signer()
                world.admin("ca", "pin", "loopback", "--yes")
                world.admin("eab", "import", "--ca", "loopback", "--kid", "k", stdin="A" * 43)
                world.admin("account", "create", ACCOUNT)
                world.admin("account", "register", ACCOUNT, "--kid", "k")
                before = account(world)
                done = world.admin("account", "rotate", ACCOUNT, status=status)
                for more in words:
                    world.admin("account", "rotate", ACCOUNT, *more)
                return done, before, account(world), private_keys(world), ca.requests

    FOUND = (200, {"Location": "ORIGIN" + URL}, "{}")
    NONE = problem("accountDoesNotExist", 400)
    GOOD = (200, {}, "{}")

    def test_a_ca_without_key_change(self):
        """ZeroSSL answers 500, always."""
        done, before, now, keys, _ = self.course(
            [(500, {}, "{}")], [self.NONE, self.FOUND, self.NONE, self.FOUND], [self.GOOD],
            words=[["--cancel"]], status=1)
        for part in ("ZeroSSL", "--cancel", "account deactivate"):
            self.assertIn(part, done.text)
        self.assertEqual(now, before)
        self.assertEqual(len(keys), 1)

    def test_the_answer_was_lost_but_the_key_changed(self):
        done, before, now, keys, _ = self.course(
            [(500, {}, "{}")], [self.FOUND], [self.GOOD, problem("unauthorized", 401)])
        self.assertIn("the CA has the new key", done.out)
        self.assertNotEqual(now["thumbprint"], before["thumbprint"])
        self.assertEqual(len(keys), 1)

    def test_a_ca_that_still_takes_the_old_key(self):
        done, _, now, keys, _ = self.course([self.GOOD], [], [self.GOOD, self.GOOD], status=1)
        self.assertIn("still takes the old key", done.text)
        self.assertEqual(now["key_change"], "confirmed")
        self.assertEqual(len(keys), 2, "the old key is kept")

    def test_a_refusal_that_proves_nothing(self):
        done, _, now, keys, _ = self.course(
            [self.GOOD], [], [self.GOOD, problem("rateLimited", 403)], status=1)
        self.assertIn("not proven", done.text)
        self.assertEqual((now["key_change"], len(keys)), ("confirmed", 2))

    def test_the_new_key_of_another_account(self):
        other = (200, {"Location": "ORIGIN/account/2"}, "{}")
        done, before, now, _, _ = self.course([(500, {}, "{}")], [other], [self.GOOD], status=1)
        self.assertEqual(now["thumbprint"], before["thumbprint"])
        self.assertNotEqual(done.err, "")

    def test_both_keys_sign_what_rfc_8555_says(self):
        _, before, now, _, requests = self.course(
            [self.GOOD], [], [self.GOOD, problem("malformed", 400)])
        _, header, payload = next(item for item in requests if item[0] == "/key-change")
        self.assertEqual(header["kid"], before["url"])
        inner = {name: json.loads(self.decode(payload[name])) for name in ("protected", "payload")}
        self.assertEqual(set(inner["protected"]), {"alg", "jwk", "url"})    # no nonce: 7.3.5
        self.assertEqual(inner["protected"]["url"], header["url"])
        self.assertEqual(inner["payload"], {"account": before["url"],
                                            "oldKey": json.loads(before["jwk"])})
        self.assertEqual(inner["protected"]["jwk"], json.loads(now["jwk"]))

    @staticmethod
    def decode(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Wrapped(unittest.TestCase):
    """The HMAC key is wrapped on a workstation; the HSM host never has it in clear."""

    def setUp(self):
        self.world = self.enterContext(World())
        self.world.application("app", exact=[NAME])
        self.world.write_config()
        self.world.start_signer()
        self.world.admin("ca", "pin", "loopback", "--yes")
        shown = self.world.admin("eab", "wrapping-key", "create")
        self.public_key = self.world.path("wrapping.pem")
        with open(self.public_key, "w", encoding="ascii") as file:
            file.write(shown.out)       # the PEM text, and nothing else
        self.fingerprint = shown.err.split("fingerprint ")[1].split()[0]
        with open(self.world.ca.key_file, encoding="ascii") as file:
            self.key = file.read()
        self.file = self.world.path("wrapped")

    def wrap(self, *words, fingerprint=None, kid=None, stdin=None, status=0, before=()):
        """As on a workstation: no configuration, no socket, no token."""
        return run([ADMIN, "--config", "/nonexistent", *before, "eab", "wrap", "--public-key",
                    self.public_key, "--fingerprint", fingerprint or self.fingerprint, "--ca",
                    "loopback", "--kid", kid or self.world.ca.kid, "--out", self.file, *words],
                   stdin=stdin or self.key, status=status, env=environment())

    @staticmethod
    def sha256(done):
        return done.out.split("sha256 ")[1].split()[0]

    def test_the_whole_way(self):
        wrapped = self.wrap()
        self.assertIn("SHA-1", wrapped.out)
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        imported = self.world.admin("eab", "import", "--wrapped", self.file)
        self.assertIn("imported: 256 bits", imported.out)
        self.assertEqual(self.sha256(wrapped), self.sha256(imported))
        self.world.register()       # the CA takes its MAC
        self.world.certonly(NAME)
        self.world.admin("eab", "wrapping-key", "destroy")
        self.world.admin("eab", "wrapping-key", "show", status=5)
        self.nowhere_in_clear()

    def nowhere_in_clear(self):
        """Neither the state nor the wrapped file nor the log has the key."""
        key = self.key.strip().encode()
        for folder, _, names in os.walk(self.world.path("state")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(key, file.read(), name)
        for path in (self.file, self.world.signer_log):
            with open(path, "rb") as file:
                self.assertNotIn(key, file.read(), path)

    def test_attack_161_another_wrapping_key_in_its_place(self):
        other = self.world.path("other.pem")
        run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt",
             "rsa_keygen_bits:3072", "-out", other])
        run(["openssl", "pkey", "-in", other, "-pubout", "-out", self.public_key])
        done = self.wrap(status=1)
        self.assertIn("do not wrap", done.text)
        self.assertFalse(os.path.exists(self.file))

    def test_attack_162_a_file_that_was_changed_on_the_way(self):
        self.wrap(kid="other")
        with open(self.file, encoding="ascii") as file:
            text = file.read()
        for changed in (text.replace('"kid":"other"', f'"kid":"{self.world.ca.kid}"'),
                        text.replace('"bits":256', '"bits":512')):
            with open(self.file, "w", encoding="ascii") as file:
                file.write(changed)
            done = self.world.admin("eab", "import", "--wrapped", self.file, status=1)
            self.assertIn("not the key that was wrapped", done.text)
        self.assertEqual(self.world.admin("--json", "eab", "list").json(), {"eabs": []})

    def test_mistakes_are_told(self):
        for wrong in ("12ab", self.fingerprint + "0"):
            self.assertIn("fingerprint", self.wrap(fingerprint=wrong, status=2).text)
        self.assertIn("128 bits", self.wrap(stdin="A" * 22, status=1).text)
        self.wrap("--force", stdin="A" * 22)
        done = self.world.admin("eab", "import", "--wrapped", self.file, status=1)
        self.assertIn("128 bits", done.text)
        self.world.admin("eab", "import", "--wrapped", self.file, "--force")
        done = self.world.admin("eab", "import", "--wrapped", self.public_key, status=1)
        self.assertIn("eab wrap wrote", done.text)
        done = self.world.admin("eab", "import", "--wrapped", self.file, "--kid", "x", status=1)
        self.assertIn("was wrapped for", done.text)
        told = self.wrap(before=["--json"]).json()
        self.assertEqual((told["file"], told["ca"], told["kid"], told["algorithm"]),
                         (self.file, "loopback", self.world.ca.kid, "HS256"))
        with open(self.file, "rb") as file:
            self.assertEqual(told["sha256"], hashlib.sha256(file.read()).hexdigest())
        colons = ":".join(self.fingerprint[i:i + 2] for i in range(0, 64, 2)).upper()
        self.wrap(fingerprint=colons)


if __name__ == "__main__":
    unittest.main()
