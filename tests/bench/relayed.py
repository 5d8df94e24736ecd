"""One certificate by one client: from the CA itself, and through relay and signer."""

import time

from table import Series

from acme_client import AcmeClient, certificate_request
from relay_world import RelayWorld

NAME = "relayed.bench.dept.example.edu"
APPLICATION = "relayed"


class BenchWorld(RelayWorld):
    def start(self):
        self.application(APPLICATION, exact=[NAME], relay={}, limits={"orders_per_day": 10000})
        super().start()


def once(client, csr):
    """Seconds from the order to the chain; the connection is there, as is a nonce."""
    start = time.perf_counter()
    order = client.finalize(client.order(NAME), csr)
    client.post(order.json["certificate"])
    return time.perf_counter() - start


def register_at_ca(world):
    client = AcmeClient(world.ca.directory, world.ca.ca_file)
    with open(world.ca.key_file, encoding="ascii") as file:
        client.register(world.ca.kid, file.read().strip())
    client.answer_all(client.order(NAME))
    return client


def measure(plan):
    with BenchWorld(relay={"dns": {"auth_hook": "true", "cleanup_hook": "true"}}) as world:
        world.start()
        relayed, straight = world.account(APPLICATION), register_at_ca(world)
        _, csr = certificate_request(NAME)
        once(relayed, csr)      # the CA has the name validated by then
        results = {"direct": [], "relayed": []}
        for _ in range(plan.issues):
            results["direct"].append(once(straight, csr))
            results["relayed"].append(once(relayed, csr))
        return results


def report(table, results):
    table.section("One certificate through the relay, pre-validated, on connections that are kept")
    direct, relayed = (Series(seconds * 1000 for seconds in results[name])
                       for name in ("direct", "relayed"))
    table.add("a client at the CA itself", "ms", direct, "%.1f")
    table.add("the same client through relay and signer", "ms", relayed, "%.1f")
    table.add("  over the CA itself", "ratio", relayed.over(direct))
