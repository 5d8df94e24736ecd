#!/usr/bin/python3
"""What the CA, the connection to it, or a kill does to orders that go through acmeward-relay."""

import unittest

from acme_client import certificate_request
from faulty_proxy import FaultyProxy
from relay_world import RelayWorld

NAME = "app1.dept.example.edu"
HOOKS = {"dns": {"auth_hook": "true", "cleanup_hook": "true"}}


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = RelayWorld(relay=HOOKS)
        cls.enterClassContext(cls.world)
        world = cls.world
        world.application("app1", exact=[NAME], operations=["order", "revoke"], relay={})
        cls.proxy = FaultyProxy(world.ca, world.path("ca"))
        cls.enterClassContext(cls.proxy)
        world.ca_directory = cls.proxy.directory
        world.start()
        cls.client = world.account("app1")
        cls.client.issue(NAME)
        _, cls.csr = certificate_request(NAME)

    def setUp(self):
        self.proxy.heal()

    def unavailable(self, answer):
        self.assertEqual((answer.status, answer.problem), (503, "serverInternal"), answer)
        self.assertGreater(int(answer.fields["Retry-After"]), 0)
        return int(answer.fields["Retry-After"])

    def test_01_no_order_while_the_ca_is_away(self):
        """A failure there is never a refusal here."""
        for fault in ("drop", "lost", "html", "truncated"):
            with self.subTest(fault):
                self.proxy.fault("new-order", fault)
                answer = self.client.order(NAME, status=None)
                self.unavailable(answer)
        self.proxy.fault("new-order", (503, [("Retry-After", "77")]))
        self.assertEqual(self.unavailable(self.client.order(NAME, status=None)), 77)
        self.proxy.heal()
        self.assertEqual(self.client.order(NAME).json["status"], "ready")

    def test_02_a_lost_answer_to_finalize(self):
        for fault in ("drop", "cut", "truncated"):
            with self.subTest(fault):
                order = self.client.order(NAME)
                self.proxy.fault("finalize", fault)
                done = self.client.finalize(order, self.csr)
                self.assertEqual(done.json["status"], "valid", done)

    def test_03_the_order_outlives_an_outage(self):
        """What can't be fetched now is fetched later, while the client polls."""
        order = self.client.order(NAME)
        self.proxy.fault("certificate", (503, []))
        answer = self.client.post(order.json["finalize"], {"csr": self.csr_text()})
        self.assertEqual(answer.json["status"], "processing")
        self.assertGreater(int(answer.fields["Retry-After"]), 0)
        self.proxy.heal()
        done = self.client.wait(order.location)
        self.assertEqual(done.json["status"], "valid")
        self.client.post(done.json["certificate"])

    def csr_text(self):
        from acme_client import b64
        return b64(self.csr)

    def test_04_killed_at_each_step(self):
        """kill -9 while the CA has the request: the next start goes on, the client only polls."""
        relay = self.world.relay
        for step in ("finalize", "order", "certificate"):
            with self.subTest(step):
                order = self.client.order(NAME)
                before = self.proxy.accepted["finalize"]
                killed = []

                def kill():
                    if not killed:
                        killed.append(relay.kill())
                        return False
                    return True

                self.proxy.fault(step, kill)
                with self.assertRaises(OSError):
                    self.client.post(order.json["finalize"], {"csr": self.csr_text()})
                self.proxy.heal()
                relay.start()
                done = self.client.wait(order.location)
                self.assertEqual(done.json["status"], "valid", done)
                self.client.post(done.json["certificate"])
                self.assertEqual(self.proxy.accepted["finalize"], before + 1)

    def test_05_killed_with_the_order_at_the_ca(self):
        """The client has no answer, orders anew, and nothing is left in the way."""
        relay = self.world.relay
        killed = []

        def kill():
            if not killed:
                killed.append(relay.kill())
                return False
            return True

        self.proxy.fault("new-order", kill)
        with self.assertRaises(OSError):
            self.client.order(NAME)
        self.proxy.heal()
        relay.start()
        self.assertEqual(self.client.issue(NAME)[2].json["status"], "valid")


if __name__ == "__main__":
    unittest.main()
