#!/usr/bin/python3
"""The whole ACME protocol through acmeward-relay: real signer, SoftHSM and Pebble, and a client that
also does what it should not."""

import json
import os
import unittest

from acme_client import AcmeClient, Key, b64, certificate_request, renewal_id
from relay_world import RelayWorld
from world import run, wait_until

NAME = "app1.dept.example.edu"
HOOKS = {"dns": {"auth_hook": "true", "cleanup_hook": "true"}}


class Course(unittest.TestCase):
    """One world; the tests run in the order of their numbers, each on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.world = RelayWorld(relay=HOOKS, pebble={"alternate_roots": 1})
        cls.enterClassContext(cls.world)
        world = cls.world
        for application in ("app1", "app2"):
            world.application(application, exact=[f"{application}.dept.example.edu"],
                              profiles=["tlsserver"],
                              wildcards_of=[f"{application}.dept.example.edu"],
                              operations=["order", "revoke"], relay={})
        world.application("app3", exact=["app3.dept.example.edu"], limits={"orders_per_day": 1},
                          relay={})
        world.add_relay()
        if os.geteuid() == 0:       # a relay is a user
            world.add_relay("relay2", user="daemon")
        world.start()
        cls.client = world.account("app1")
        cls.other = world.account("app2")

    def expect(self, answer, status, problem):
        self.assertEqual((answer.status, answer.problem), (status, problem), answer)
        self.assertEqual(answer.fields["Content-Type"], "application/problem+json")
        self.assertIn("Replay-Nonce", answer.fields)
        return answer

    # Issuing.

    def test_01_issues_with_alternates(self):
        chain, key, order = self.client.issue(NAME, f"*.{NAME}")
        type(self).chain, type(self).key = chain.text, key
        self.assertEqual(chain.fields["Content-Type"], "application/pem-certificate-chain")
        self.assertEqual(chain.text.count("BEGIN CERTIFICATE"), 2)
        self.assertEqual(len(chain.links("alternate")), 1)
        other = self.client.post(chain.links("alternate")[0])
        self.assertEqual(other.text.count("BEGIN CERTIFICATE"), 2)
        self.assertNotEqual(other.text, chain.text)
        self.assertEqual(other.links("alternate"), [order.json["certificate"]])
        # What the CA issued is in the signer's inventory, by the application.
        found = [json.loads(line) for line in self.world.admin(
            "--json", "certificates", "--application", "app1").out.splitlines()]
        self.assertEqual(found[0]["names"], sorted([NAME, f"*.{NAME}"]))

    def test_02_shows_order_and_authorizations(self):
        order = self.client.order(NAME, f"*.{NAME}")
        self.assertEqual(order.json["status"], "ready")
        self.assertEqual([i["value"] for i in order.json["identifiers"]], [NAME, f"*.{NAME}"])
        first, second = (self.client.post(url).json for url in order.json["authorizations"])
        self.assertEqual((first["status"], second["status"]), ("valid", "valid"))
        self.assertNotIn("wildcard", first)
        self.assertTrue(second["wildcard"])
        self.assertEqual(second["identifier"], {"type": "dns", "value": NAME})
        challenge = second["challenges"][0]
        self.assertEqual((challenge["type"], challenge["status"]), ("dns-01", "valid"))
        answer = self.client.post(challenge["url"], {})
        self.assertEqual(answer.json["status"], "valid")
        self.assertEqual(answer.links("up"), [order.json["authorizations"][1]])
        self.assertIn(order.location, self.client.post(
            self.client.post(self.client.kid).json["orders"]).json["orders"])
        # RFC 8555 7.5.2: deactivated, it takes its order along.
        self.client.post(order.json["authorizations"][0], {"status": "deactivated"})
        self.assertEqual(self.client.post(order.location).json["status"], "invalid")

    def test_03_refuses_a_bad_csr_and_takes_the_next(self):
        order = self.client.order(NAME)
        _, foreign = certificate_request("app2.dept.example.edu")
        url = order.json["finalize"]
        self.expect(self.client.post(url, {"csr": b64(foreign)}, status=None), 400, "badCSR")
        self.expect(self.client.post(url, {"csr": "AAAA"}, status=None), 400, "badCSR")
        self.expect(self.client.post(url, {}, status=None), 400, "malformed")
        self.assertEqual(self.client.post(order.location).json["status"], "ready")
        _, good = certificate_request(NAME)
        self.assertEqual(self.client.finalize(order, good).json["status"], "valid")
        self.expect(self.client.post(url, {"csr": b64(good)}, status=None), 403, "orderNotReady")

    # Refusals.

    def test_04_wrong_nonces(self):
        url = self.client.kid
        jws = self.client.signed(url, None)
        self.client.send(url, jws)
        answer = self.expect(self.client.send(url, jws, status=None), 400, "badNonce")
        self.client.send(url, self.client.signed(url, None, nonce=answer.fields["Replay-Nonce"]))
        self.expect(self.client.send(url, self.client.signed(url, None, nonce="bm9uZW5v"),
                                     status=None), 400, "badNonce")

    def test_05_attack_names_of_another_application(self):
        answer = self.expect(self.client.order("app2.dept.example.edu", status=None), 403,
                             "rejectedIdentifier")
        self.assertEqual(answer.json["subproblems"][0]["identifier"],
                         {"type": "dns", "value": "app2.dept.example.edu"})
        self.assertIn("app1-team@dept.example.edu", answer.json["detail"])

    def test_06_attack_another_accounts_resources(self):
        order = self.client.order(NAME)
        _, csr = certificate_request(NAME)
        for url, payload in ((order.location, None), (order.json["authorizations"][0], None),
                             (order.json["finalize"], {"csr": b64(csr)}),
                             (order.location.replace("/order/", "/certificate/"), None),
                             (self.client.kid, None), (self.client.kid + "/orders", None),
                             (self.client.kid, {"status": "deactivated"})):
            self.expect(self.other.post(url, payload, status=None), 403, "unauthorized")

    def test_07_quota(self):
        client = self.world.account("app3")
        client.order("app3.dept.example.edu")
        answer = self.expect(client.order("app3.dept.example.edu", status=None), 429, "rateLimited")
        self.assertGreater(int(answer.fields["Retry-After"]), 0)

    def test_08_attack_signatures(self):
        url = self.client.kid
        stranger = Key()
        jws = stranger.jws({"kid": url, "nonce": self.client.take_nonce(), "url": url}, None)
        self.expect(self.client.send(url, jws, status=None), 400, "malformed")
        jws = self.client.signed(self.client.directory["newOrder"], {"identifiers": []})
        self.expect(self.client.send(url, jws, status=None), 403, "unauthorized")
        self.expect(self.client.post(url, None, kid=self.other.kid, status=None), 400, "malformed")

    # Accounts.

    def test_10_accounts(self):
        again = AcmeClient(self.world.relay.directory, self.world.relay.ca_file, key=self.client.key)
        self.assertEqual(again.register().status, 200)
        self.assertEqual(again.kid, self.client.kid)
        self.assertEqual(again.register(onlyReturnExisting=True).status, 200)
        stranger = self.world.acme()
        self.expect(stranger.register(onlyReturnExisting=True, status=None), 400,
                    "accountDoesNotExist")
        self.expect(stranger.register(status=None), 403, "externalAccountRequired")
        again.post(again.kid, {"contact": ["mailto:web@dept.example.edu"]})
        self.assertEqual(again.post(again.kid).json["contact"], ["mailto:web@dept.example.edu"])

    def test_11_bindings(self):
        kid, key = self.world.app_eab("app1", "--once")
        first, second = self.world.acme(), self.world.acme()
        self.expect(first.register(kid, b64(bytes(32)), status=None), 403, "unauthorized")
        self.expect(first.register("app-unknown", key, status=None), 403, "unauthorized")
        first.register(kid, key)
        self.expect(second.register(kid, key, status=None), 403, "unauthorized")
        kid, key = self.world.app_eab("app1")
        self.world.admin("app-eab", "revoke", kid)
        self.expect(second.register(kid, key, status=None), 403, "unauthorized")

    def test_12_key_change(self):
        client = self.world.account("app1")
        old, new = client.key, Key()
        answer = client.change_key(self.other.key, status=None)
        self.assertEqual((answer.status, answer.location), (409, self.other.kid))
        client.change_key(new)
        self.assertEqual(client.post(client.kid).json["status"], "valid")
        self.expect(client.post(client.kid, key=old, status=None), 400, "malformed")
        self.assertEqual(client.issue(NAME)[2].json["status"], "valid")

    def test_13_deactivation(self):
        client = self.world.account("app1")
        self.assertEqual(client.post(client.kid, {"status": "deactivated"}).json["status"],
                         "deactivated")
        self.expect(client.order(NAME, status=None), 403, "unauthorized")
        self.expect(client.register(status=None), 403, "unauthorized")

    def test_14_members_of_an_order(self):
        """What a client may ask for besides names goes by its application's policy and records."""
        foreign = renewal_id(self.other.issue("app2.dept.example.edu")[0].text)
        for members, status, problem in (
                ({"profile": "another"}, 400, "invalidProfile"),
                ({"notBefore": "2030-01-01T00:00:00Z"}, 403, "unauthorized"),
                ({"replaces": foreign}, 400, "malformed")):
            with self.subTest(members):
                self.expect(self.client.order(NAME, status=None, **members), status, problem)
        mine = renewal_id(self.chain)
        order = self.client.order(NAME, replaces=mine, profile="tlsserver").json
        self.assertEqual((order["status"], order["replaces"], order["profile"]),
                         ("ready", mine, "tlsserver"))

    # Revocation, renewal.

    def test_20_attack_40_another_applications_certificate(self):
        self.expect(self.other.revoke(self.chain, status=None), 403, "unauthorized")
        self.expect(self.other.revoke(self.chain, key=Key(), status=None), 403, "unauthorized")

    def test_21_revokes_by_account(self):
        self.expect(self.client.revoke(self.chain, reason=7, status=None), 400,
                    "badRevocationReason")
        self.client.revoke(self.chain, reason=4)
        self.expect(self.client.revoke(self.chain, status=None), 400, "alreadyRevoked")

    def test_22_revokes_by_the_certificates_key(self):
        chain, key, _ = self.client.issue(NAME)
        self.client.revoke(chain.text, reason=1, key=key)
        self.expect(self.client.revoke(chain.text, status=None), 400, "alreadyRevoked")

    def test_23_renewal_info_of_nothing(self):
        url = self.client.directory["renewalInfo"]
        self.assertEqual(self.client.get(f"{url}/a.b", status=404).problem, "malformed")

    # Kills.

    def test_30_killed_in_the_middle(self):
        """After the order, and with finalize accepted: both go on."""
        relay = self.world.relay
        order = self.client.order(NAME)
        relay.kill()
        relay.start()
        self.assertEqual(self.client.post(order.location).json["status"], "ready")
        _, csr = certificate_request(NAME)
        with self.assertRaises(OSError):
            self.kill_during(lambda: self.client.post(order.json["finalize"], {"csr": b64(csr)}))
        relay.start()
        self.client.close()
        done = self.client.wait(order.location, while_in=("processing", "pending"))
        if done.json["status"] == "ready":      # killed before it was stored
            done = self.client.finalize(order, csr)
        self.assertEqual(done.json["status"], "valid")
        self.client.post(done.json["certificate"])

    def kill_during(self, work):
        """Kills the relay when the order has become durable as processing."""
        import sqlite3
        import threading
        database = f"file:{self.world.relay.state}/relay.db?mode=ro"

        def look():
            with sqlite3.connect(database, uri=True) as found:
                return found.execute("SELECT count(*) FROM orders WHERE evidence IS NOT NULL"
                                     ).fetchone()[0]

        before = look()
        killer = threading.Thread(target=lambda: (
            wait_until("finalize", lambda: look() > before, pause=0), self.world.relay.kill()))
        killer.start()
        try:
            work()
        finally:
            killer.join()
        raise OSError("answered before the kill")

    def test_31_signer_restarts(self):
        """Nonces of before are refused as bad ones, which clients take in their stride."""
        order = self.client.order(NAME)
        self.world.stop_signer()
        self.expect(self.client.order(NAME, status=None), 503, "serverInternal")
        self.world.start_signer()
        _, csr = certificate_request(NAME)
        self.assertEqual(self.client.finalize(order, csr).json["status"], "valid")

    @unittest.skipIf(os.geteuid() != 0, "another relay is another user")
    def test_32_two_relays(self):
        """One signer, a store each: an account is good at both, an order where it was made, and the
        end of one relay is nothing to the other."""
        first, second = self.world.relays
        there = second.acme(key=self.client.key)
        self.assertEqual(there.register(onlyReturnExisting=True).status, 200)
        self.assertEqual(there.kid, self.client.kid.replace(first.url, second.url))
        order = there.order(NAME)
        elsewhere = order.location.replace(second.url, first.url)
        self.expect(self.client.post(elsewhere, status=None), 404, "malformed")
        # What is signed for one relay is of no use at the other.
        jws = self.client.signed(self.client.directory["newOrder"], {"identifiers": []})
        self.expect(there.send(there.directory["newOrder"], jws, status=None), 403, "unauthorized")
        first.kill()
        _, csr = certificate_request(NAME)
        self.assertEqual(there.finalize(order, csr).json["status"], "valid")
        first.start()
        self.client.close()
        self.assertEqual(self.client.issue(NAME)[2].json["status"], "valid")

    # Real clients.

    def test_40_certbot(self):
        kid, key = self.world.app_eab("app1")
        folder = self.world.path("certbot")
        run(["certbot", "certonly", "--standalone", "--non-interactive", "--agree-tos", "--email",
             "web@dept.example.edu", "--server", self.world.relay.directory, "--eab-kid", kid,
             "--eab-hmac-key", key, "-d", NAME, "--config-dir", folder, "--work-dir", folder,
             "--logs-dir", folder],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                 "REQUESTS_CA_BUNDLE": self.world.relay.ca_file})
        self.assertIn("BEGIN CERTIFICATE", open(f"{folder}/live/{NAME}/fullchain.pem",
                                                encoding="ascii").read())

    def test_41_lego(self):
        kid, key = self.world.app_eab("app1")
        folder = self.world.path("lego")
        common = ["lego", "--path", folder, "--server", self.world.relay.directory, "--email",
                  "web@dept.example.edu", "--accept-tos", "--domains", NAME, "--http", "--eab",
                  "--kid", kid, "--hmac", key]
        env = {"PATH": "/usr/bin:/bin", "LEGO_CA_CERTIFICATES": self.world.relay.ca_file}
        run([*common, "run"], env=env)
        run([*common, "renew", "--days", "3000", "--no-random-sleep"], env=env)
        run([*common, "revoke"], env=env)


if __name__ == "__main__":
    unittest.main()
