#!/usr/bin/python3
"""A conversation with the signer by Varlink clients that are not ours: python3-varlink, and
varlinkctl where systemd has it (255 and later)."""

import base64
import json
import os
import shutil
import socket
import unittest

import varlink

from world import Failed, World, run

INTERFACES = {"Signer": "socket", "Relay": "socket", "Admin": "admin_socket"}


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Conversation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=["app.dept.example.edu"])
        cls.world.start()

    def open(self, path, interface):
        client = varlink.Client("unix:" + path)
        self.enterContext(client)
        return self.enterContext(client.open(interface))

    @property
    def signer(self):
        return self.open(self.world.socket, "org.acmeward.Signer")

    def refused(self, error, call, *arguments, **named):
        with self.assertRaises(varlink.VarlinkError) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.error(), error)
        return caught.exception.parameters()

    def test_introspection(self):
        service = self.open(self.world.socket, "org.varlink.service")
        info = service.GetInfo()
        self.assertEqual(info["interfaces"], ["org.varlink.service", "org.acmeward.Signer", "org.acmeward.Relay"])
        for path, name in ((self.world.socket, "Signer"), (self.world.socket, "Relay"), (self.world.admin_socket, "Admin")):
            text = self.open(path, "org.varlink.service").GetInterfaceDescription(
                "org.acmeward." + name)["description"]
            parsed = varlink.Interface(text)
            self.assertEqual(parsed.name, "org.acmeward." + name)

    def test_a_signed_order(self):
        reply = self.signer.NewOrder(
            application="app", nonce="abcDEF-_123",
            identifiers=[{"type": "dns", "value": "App.Dept.Example.EDU"}])
        header = json.loads(decode(reply["jws"]["protected"]))
        payload = json.loads(decode(reply["jws"]["payload"]))
        account = self.world.admin("--json", "account", "show", "loopback-ov").json()["url"]
        self.assertEqual(header, {"alg": "ES256", "kid": account, "nonce": "abcDEF-_123",
                                  "url": self.world.ca.origin + "/order-plz"})
        self.assertEqual(payload, {"identifiers": [{"type": "dns", "value": "app.dept.example.edu"}]})
        self.assertEqual(len(decode(reply["jws"]["signature"])), 64)
        self.assertEqual(reply["url"], header["url"])
        self.assertEqual(reply["names"], ["app.dept.example.edu"])

    def test_a_refusal(self):
        told = self.refused("org.acmeward.Signer.PolicyRefused", self.signer.NewOrder,
                            application="app", nonce="n",
                            identifiers=[{"type": "dns", "value": "pay.dept.example.edu"}])
        self.assertEqual((told["rule"], told["name"], told["owner"]),
                         ("names.none", "pay.dept.example.edu", "app-team@dept.example.edu"))

    def test_urls_must_be_claimed(self):
        signer = self.signer
        order = signer.NewOrder(application="app", nonce="n", identifiers=[
            {"type": "dns", "value": "app.dept.example.edu"}])["order"]
        url = self.world.ca.origin + "/my-order/abc"
        told = self.refused("org.acmeward.Signer.LedgerRefused", signer.PostAsGet,
                            application="app", nonce="n", order=order, url=url)
        self.assertEqual(told["rule"], "url.unclaimed")
        signer.ClaimUrls(application="app", order=order, urls=[{"kind": "order", "url": url}])
        reply = signer.PostAsGet(application="app", nonce="n", order=order, url=url)
        self.assertEqual(reply["jws"]["payload"], "")

    def test_urls_of_the_account_and_of_others(self):
        signer = self.signer
        order = signer.NewOrder(application="app", nonce="n", identifiers=[
            {"type": "dns", "value": "app.dept.example.edu"}])["order"]
        account = self.world.admin("--json", "account", "show", "loopback-ov").json()["url"]
        for url, rule in ((account, "url.fixed"), (account + "/orders", "url.fixed"),
                          (self.world.ca.origin + "/order-plz", "url.fixed"),
                          ("https://evil.example.org/my-order/1", "url.origin")):
            told = self.refused("org.acmeward.Signer.LedgerRefused", signer.ClaimUrls,
                                application="app", order=order, urls=[{"kind": "order", "url": url}])
            self.assertEqual(told["rule"], rule, url)

    def test_an_administrators_call_on_the_applications_socket(self):
        self.refused("org.varlink.service.InterfaceNotFound", self.raw,
                     "org.acmeward.Admin.Freeze", {"reason": "x"})
        self.assertFalse(self.open(self.world.admin_socket, "org.acmeward.Admin").GetStatus()["frozen"])

    def raw(self, method, parameters=None, path=None):
        """One call, byte for byte; an error reply is raised as python3-varlink would."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(path or self.world.socket)
            call = {"method": method, "parameters": parameters or {}}
            stream.sendall(json.dumps(call).encode() + b"\0")
            reply = json.loads(self.message(stream))
        if "error" in reply:
            raise varlink.VarlinkError(reply)
        return reply["parameters"]

    @staticmethod
    def message(stream):
        data = b""
        while not data.endswith(b"\0"):
            more = stream.recv(65536)
            if not more:
                raise Failed("the signer closed the connection")
            data += more
        return data[:-1]

    def test_no_way_to_have_bytes_signed(self):
        for method in ("Sign", "SignBytes", "NewAccount", "KeyChange", "Deactivate", "neworder"):
            with self.assertRaises(varlink.VarlinkError) as caught:
                self.raw("org.acmeward.Signer." + method)
            self.assertIn(caught.exception.error(), (
                "org.varlink.service.MethodNotFound", "org.acmeward.Signer.InvalidRequest"), method)

    def test_what_does_not_parse_gets_an_answer(self):
        order = {"nonce": "n", "identifiers": [{"type": "dns", "value": "app.dept.example.edu"}]}
        rows = [
            ("attack 2", {**order, "IDENTIFIERS": []}),
            ("attack 14 null", {**order, "nonce": None}),
            ("attack 30 quote", {**order, "nonce": 'a"b'}),
            ("attack 30 CRLF", {**order, "nonce": "a\r\nb"}),
            ("attack 30 long", {**order, "nonce": "a" * 10000}),
            ("attack 76", {**order, "identifiers": [{"type": "dns", "value": "b\u00fccher.dept.example.edu"}]}),
            ("attack 83a", {**order, "identifiers": order["identifiers"] * 2}),
            ("no names", {**order, "identifiers": []}),
            ("unknown", {**order, "payload": "eyJ9"}),
        ]
        for name, parameters in rows:
            with self.subTest(name):
                told = self.refused("org.acmeward.Signer.InvalidRequest", self.raw,
                                    "org.acmeward.Signer.NewOrder", parameters)
                self.assertTrue(told["message"])

    def test_garbage_gets_an_answer_and_does_no_harm(self):
        for name, data in (("attack 8", b'{"method":"org.acmeward.Signer.WhoAmI"}{}\0'),
                           ("attack 1", b'{"method":"a.B","method":"a.C"}\0'),
                           ("attack 9", b'{"method":"\xc0\xaf"}\0'), ("attack 15", b"\xef\xbb\xbf{}\0"),
                           ("attack 11", b"[" * 50 + b"\0"), ("nothing", b"\0")):
            with self.subTest(name), socket.socket(socket.AF_UNIX) as stream:
                stream.connect(self.world.socket)
                stream.sendall(data)
                reply = json.loads(self.message(stream))
                self.assertEqual(reply["error"], "org.acmeward.Signer.InvalidRequest")
        with self.subTest("attack 15a, 105: too long"), socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self.world.socket)
            try:
                stream.sendall(b"x" * (1 << 20))
                reply = self.message(stream)
                self.assertIn(b"InvalidRequest", reply)
            except (BrokenPipeError, ConnectionResetError, Failed):
                pass    # closed while we were still sending: that is an answer too
        self.assertTrue(self.signer.WhoAmI()["applications"])

    def test_attack_15b_two_messages_in_one_write(self):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self.world.socket)
            stream.sendall(b'{"method":"org.acmeward.Signer.WhoAmI"}\0' * 2)
            data = b""
            while data.count(b"\0") < 2:
                data += stream.recv(65536)
            first, second = data.split(b"\0")[:2]
            self.assertEqual(json.loads(first), json.loads(second))

    def varlinkctl(self, *words, status=0):
        return run(["varlinkctl", *words], status=status)

    @unittest.skipUnless(shutil.which("varlinkctl"), "there is no varlinkctl (systemd 255 and later)")
    def test_varlinkctl_reads_the_interfaces(self):
        """systemd's parser is stricter than Python's: it warns of what it does not understand."""
        for name, socket_of in INTERFACES.items():
            path, interface = getattr(self.world, socket_of), "org.acmeward." + name
            done = self.varlinkctl("info", path)
            self.assertIn(interface, done.out)
            done = self.varlinkctl("introspect", path, interface)
            self.assertIn("interface " + interface, done.out)
            self.assertEqual(done.err, "")

    @unittest.skipUnless(shutil.which("varlinkctl"), "there is no varlinkctl (systemd 255 and later)")
    def test_varlinkctl_calls(self):
        done = self.varlinkctl("call", self.world.socket, "org.acmeward.Signer.WhoAmI", "{}")
        self.assertIn("app", [a["name"] for a in json.loads(done.out)["applications"]])
        done = self.varlinkctl("call", self.world.admin_socket, "org.acmeward.Admin.GetStatus", "{}")
        self.assertFalse(json.loads(done.out)["frozen"])
        order = {"application": "app", "nonce": "n",
                 "identifiers": [{"type": "dns", "value": "pay.dept.example.edu"}]}
        done = self.varlinkctl("call", self.world.socket, "org.acmeward.Signer.NewOrder",
                               json.dumps(order), status=1)
        self.assertIn("org.acmeward.Signer.PolicyRefused", done.err)
        order["identifiers"][0]["value"] = "app.dept.example.edu"
        done = self.varlinkctl("call", self.world.socket, "org.acmeward.Signer.NewOrder",
                               json.dumps(order))
        self.assertEqual(len(decode(json.loads(done.out)["jws"]["signature"])), 64)

    def test_a_user_without_policy_is_dropped(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be another user")
        done = self.world.client("whoami", user="games", status=None, name="client")
        self.assertNotEqual(done.status, 0)
        self.assertIn("policy", done.text)


if __name__ == "__main__":
    unittest.main()
