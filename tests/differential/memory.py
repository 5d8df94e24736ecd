"""The audit log, read line by line as docs/audit-format.md has it.

What order memory, claims and quotas (docs/ledger.md) make of it is a second account of what may
have been signed.
"""

import collections
import hashlib
import json

from allowed import Asked
from x509 import need

POLLED = ("order", "authorization", "challenge", "certificate")
FINALIZES_MAX = 8
POLLS_MAX = 2000
SHARED_BY_ORDERS = ("authorization", "challenge")


class Order:
    def __init__(self, record):
        self.application, self.account = record["application"], record["account"]
        self.names = set(record["names"])
        self.urls = {}          # kind by URL
        self.bound = None       # finalize URL, CSR, key
        self.finalizes = self.polls = 0


class Memory:
    """Takes in the permits of the log in order. `signed`: what was read of the JWSs."""

    def __init__(self, policy, signed):
        self.policy = policy
        self.signed = collections.defaultdict(list)
        for uid, jws in signed:
            self.signed[jws.digest].append((uid, jws))
        self.orders = {}
        self.used = collections.Counter()   # of an application and limit
        self.owners = {}        # URL of an account: application, kind, names
        self.keys = {}          # key: application that finalized it first
        self.serials = {}       # account and serial: application that handed it back first
        self.permits = collections.Counter()

    def read(self, path):
        previous = "0" * 64
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                need(record["seq"] == number, f"record {record['seq']} in line {number}")
                need(record["prev"] == previous, f"the chain breaks at record {number}")
                previous = hashlib.sha256(line).hexdigest()
                if record.get("verdict") in ("permit", "warn") and "application" in record:
                    self.take(record)
        left = sum(len(entries) for entries in self.signed.values())
        need(left == 0, f"{left} JWSs are not on record")
        return number

    def take(self, record):
        operation = record["operation"]
        need(record["kind"] != "outcome", f"record {record['seq']}: a permit that failed")
        application = self.policy.by_name[record["application"]]
        need(record["account"] == application["account"], "another account")
        need(record["uid"] == application["uid"], "another user")
        jws = self.jws_of(record) if "input" in record else None
        need((jws is None) == (operation in ("claim", "record-certificate")),
             f"record {record['seq']}: {operation} with or without a signature")
        if jws is not None:
            self.check_policy(record, application, jws)
        self.permits[operation] += 1
        getattr(self, "take_" + operation.replace("-", "_"))(record, jws)

    def check_policy(self, record, application, jws):
        of_order = jws.operation in ("new-order", "finalize")
        refusals = self.policy.refusals(application, Asked(
            "revoke" if jws.operation == "revoke" else "order",
            names=jws.names if of_order else (), profile=jws.profile,
            key=jws.csr.key if jws.csr else None))
        need(not refusals, f"record {record['seq']}: {application['application']} may not have "
             f"{jws.operation} of {list(jws.names)}: {sorted(refusals)}")

    def jws_of(self, record):
        entries = self.signed[record["input"]]
        need(entries, f"record {record['seq']} permits a signature that nobody got")
        uid, jws = entries.pop()
        need(uid == record["uid"], f"uid {uid} got what is on record for {record['uid']}")
        need(jws.operation == record["operation"], f"{jws.operation}, on record as "
             f"{record['operation']}")
        need(jws.account.name == record["account"], "another account's key")
        if jws.operation in ("new-order", "finalize", "revoke"):
            need(sorted(jws.names) == sorted(record.get("names", [])), "other names on record")
        return jws

    def order_of(self, record):
        order = self.orders.get(record.get("order"))
        need(order is not None, f"record {record['seq']}: an order that nobody opened")
        need(order.application == record["application"] and order.account == record["account"],
             f"record {record['seq']}: another's order")
        return order

    def use(self, record, limit):
        """Counts against a daily limit; a run is shorter than a day."""
        application = self.policy.by_name[record["application"]]
        self.used[application["application"], limit] += 1
        need(self.used[application["application"], limit] <= application.get(limit, 100000),
             f"{application['application']} is over {limit}")

    def take_new_order(self, record, jws):
        self.orders[record["seq"]] = Order(record)
        self.use(record, "orders_per_day")
        if jws.replaces is not None:
            owner = self.serials.get((record["account"], jws.replaces))
            need(owner == record["application"], "an order replaces another's certificate")

    def take_claim(self, record, _):
        order = self.order_of(record)
        url, kind = record["url"], record["url_kind"]
        place = (record["account"], url)
        first = self.owners.setdefault(place, (order.application, kind, order.names))
        need(first[:2] == (order.application, kind), f"{url} belongs to {first}")
        need(kind in SHARED_BY_ORDERS or first[2] == order.names, f"{url} is of other names")
        need(url not in order.urls, f"{url} is claimed twice for one order")
        order.urls[url] = kind
        kinds = collections.Counter(order.urls.values())
        authorizations = len(order.names)
        limits = {"order": 1, "finalize": 1, "authorization": authorizations,
                  "challenge": 8 * authorizations, "certificate": 10}
        need(kinds[kind] <= limits[kind], f"an order with {kinds[kind]} URLs of kind {kind}")

    def take_finalize(self, record, jws):
        order = self.order_of(record)
        need(order.urls.get(jws.url) == "finalize", f"{jws.url} was not claimed for finalize")
        need(set(jws.names) == order.names, "a CSR with other names than its order")
        triple = (jws.url, jws.csr.digest, jws.csr.key_digest)
        need(order.bound in (None, triple), "an order that is bound to something else")
        order.bound = triple
        order.finalizes += 1
        need(order.finalizes <= FINALIZES_MAX, "an order finalized too often")
        need((record["csr"], record["key"]) == triple[1:], "another CSR on record")
        owner = self.keys.setdefault(jws.csr.key_digest, order.application)
        need(owner == order.application, f"a key that {owner} finalized")

    def poll(self, record, jws, kinds):
        order = self.order_of(record)
        need(order.urls.get(jws.url) in kinds, f"{jws.url} was not claimed as one of {kinds}")
        order.polls += 1
        need(order.polls <= POLLS_MAX, "an order polled too often")

    def take_post_as_get(self, record, jws):
        self.poll(record, jws, POLLED)

    def take_answer_challenge(self, record, jws):
        self.poll(record, jws, ("challenge",))

    def take_revoke(self, record, jws):
        need(self.keys.get(jws.certificate.key_digest) == record["application"],
             "a certificate whose key the application did not finalize")
        self.use(record, "revocations_per_day")

    def take_record_certificate(self, record, _):
        order = self.order_of(record)
        need(order.bound is not None and record["key"] == order.bound[2], "a certificate's key")
        need(set(record["names"]) == order.names, "a certificate's names")
        place = (record["account"], int(record["serial"], 16))
        self.serials.setdefault(place, record["application"])
