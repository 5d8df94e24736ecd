"""Requests as a compromised client would send them: right ones, and right ones with a twist.

A wave of requests refers only to orders that waves before it opened, so that the requests follow
from the seed alone, whatever order the signer answers in. Tickets are put in when a request is
sent: until then an order is known by the number of the request that opened it.
"""

import base64
import json
import random

import csrs
import names
import wire

UNKNOWN_TICKET = 2 ** 52
RECENT = 40             # orders of an application that are still worked on
TRIES = 4               # to find names that the application may have
CLEAN = 0.45            # requests without any twist
REASONS = (None, None, 0, 3, 4, 5, 9)
ODD_REASONS = (1, 2, 6, 7, 10, -1, "1", 9)


def encode(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Opened:
    """The number of the request that opened an order; None: an order that there is not."""

    def __init__(self, request):
        self.request = request


class Order:
    def __init__(self, request, rules, listed, origin):
        self.opened = Opened(request)
        self.rules, self.names = rules, listed
        self.key = csrs.curve_key(f"{rules['application']}/{request}",
                                  rules.get("keys", ["ec-p256"])[0])
        base = f"{origin}/my-order/{request}"
        self.urls = {"order": base, "finalize": f"{base}/finalize",
                     "authorization": f"{origin}/authz/{request}",
                     "challenge": f"{origin}/chall/{request}",
                     "certificate": f"{origin}/cert/{request}"}
        self.csr = encode(csrs.Parts(self.key, listed).write())
        self.odd = None         # a URL that is none of its own, which it tried to claim
        self.stage = 0          # 1: claimed, 2: finalized, 3: its certificate handed back
        self.serial = request * 2654435761 + 1

    def certificate(self):
        return csrs.certificate(self.key, self.names, self.serial)


class Request:
    """What is sent: `parameters` hold Opened where a ticket comes. `asked` says what is meant, as
    far as it is known: (uid, application, operation, names, profile, validity, key)."""

    def __init__(self, index, uid, method, parameters):
        self.index, self.uid, self.method, self.parameters = index, uid, method, parameters
        self.twist = wire.plain
        self.asked = None
        self.seed = None

    def write(self, tickets):
        parameters = dict(self.parameters)
        if isinstance(parameters.get("order"), Opened):
            parameters["order"] = tickets.get(parameters["order"].request, UNKNOWN_TICKET)
        text = json.dumps({"method": "org.acmeward.Signer." + self.method,
                           "parameters": parameters})
        return self.twist(random.Random(self.seed), text) + b"\0"


class Hostile:
    """allowed(rules, names): whether the names may be had, so that not all requests are refused."""

    def __init__(self, seed, applications, pins, allowed):
        self.seed = seed
        self.allowed = allowed
        # Those who may order nothing ask seldom.
        self.weights = [0.2 if not allowed(rules, []) else 1 for rules in applications]
        self.chance = random.Random(f"{seed}/requests")
        self.applications = applications
        self.origin = pins["origin"]
        self.fixed = pins["fixed"]
        self.count = 0
        self.orders = {rules["application"]: [] for rules in applications}
        self.coming = []        # orders of this wave
        self.tried = {}         # orders of an application that have an odd URL

    def wave(self, size):
        requests = [self.request() for _ in range(size)]
        for order in self.coming:
            kept = self.orders[order.rules["application"]]
            kept.append(order)
            del kept[:-RECENT]
        self.coming = []
        return requests

    def request(self):
        self.count += 1
        rules = self.chance.choices(self.applications, self.weights)[0]
        make = self.chance.choices(
            (self.new_order, self.claim, self.finalize, self.poll, self.record, self.revoke,
             self.check), (26, 16, 22, 18, 6, 8, 4))[0]
        request = make(rules, self.chance.random() >= CLEAN)
        request.seed = f"{self.seed}/{self.count}"
        return request

    # Parts.

    def other(self, rules):
        return self.chance.choice([each for each in self.applications if each is not rules])

    def foreign_name(self, rules):
        return names.own(self.chance, self.other(rules))

    def named(self, rules):
        alone = sum(each["uid"] == rules["uid"] for each in self.applications) == 1
        return None if alone and self.chance.random() < 0.3 else rules["application"]

    def nonce(self):
        return f"{self.count:x}-_{self.chance.getrandbits(64):x}"

    def order(self, rules, stage):
        """An order that has come so far; None: there is none."""
        found = [order for order in self.orders[rules["application"]] if order.stage >= stage]
        return self.chance.choice(found) if found else None

    def any_order(self):
        found = self.orders[self.chance.choice(self.applications)["application"]]
        return self.chance.choice(found) if found else None

    def finish(self, rules, method, parameters, twist, meant=None):
        """Names the application; twists what every request has."""
        request = Request(self.count, rules["uid"], method, parameters)
        named = self.named(rules)
        what = self.chance.random() if twist else 1
        if what < 0.08:
            named = self.other(rules)["application"]
        elif what < 0.11:
            named = self.chance.choice((None, rules["application"].upper(), "nobody",
                                        rules["application"] + "\n", ""))
            meant = None if named is not None else meant
        elif what < 0.15:
            parameters["nonce"] = self.chance.choice((
                'a"b', "a\r\nb", "a" * 513, "", "a b", "a=", "\u00e9", 'x","url":"https://evil/'))
            meant = None
        elif what < 0.35:
            request.twist, same = self.chance.choice(wire.TWISTS)
            meant = meant if same else None
        if named is not None:
            parameters["application"] = named
        if meant is not None:
            request.asked = (rules["uid"], named) + meant
        return request

    # Orders.

    def new_order(self, rules, twist):
        listed = names.own_names(self.chance, rules)
        for _ in range(TRIES):
            if not self.allowed(rules, listed):
                listed = names.own_names(self.chance, rules)
        sent = list(listed)
        parameters = {"nonce": self.nonce()}
        if "profiles" in rules and self.chance.random() < 0.3:
            parameters["profile"] = self.chance.choice(rules["profiles"])
        meant = True
        if twist and self.chance.random() < 0.6:
            meant = self.twist_names(rules, sent)
        identifiers = [{"type": "ip" if names.is_address(name) else "dns", "value": name}
                       for name in sent]
        if twist and self.chance.random() < 0.25:
            meant = self.twist_order(rules, parameters, identifiers) and meant
        elif not twist and self.chance.random() < 0.1:
            self.replace(rules, parameters)
        parameters["identifiers"] = identifiers
        asked = ("order", [name.lower() for name in sent], parameters.get("profile"),
                 "notBefore" in parameters or "notAfter" in parameters, None)
        request = self.finish(rules, "NewOrder", parameters, twist, asked if meant else None)
        if request.twist is wire.plain and sent == listed and self.allowed(rules, listed):
            self.coming.append(Order(self.count, rules, listed, self.origin))
        return request

    def twist_names(self, rules, sent):
        """True: all of them are still names."""
        chance = self.chance
        at = chance.randrange(len(sent))
        what = chance.randrange(7)
        if what == 0:
            sent.append(self.foreign_name(rules))
        elif what == 1:
            sent[at] = self.foreign_name(rules)
        elif what == 2:
            sent[at] = sent[at].upper() if chance.random() < 0.5 else sent[at].title()
        elif what == 3:
            sent.append(chance.choice(rules.get("deny") or [self.foreign_name(rules)]))
        elif what == 4:
            sent += [f"h{i}.{self.foreign_name(rules)}" for i in range(chance.choice((3, 99, 100)))]
            return False
        elif what == 5:
            sent[at] = names.twisted_address(chance)
            return False
        else:
            sent[at] = names.twisted(chance, sent[at], self.foreign_name(rules))
            return False
        return len({name.lower() for name in sent}) == len(sent)

    def twist_order(self, rules, parameters, identifiers):
        chance = self.chance
        what = chance.randrange(6)
        if what == 0:
            parameters["profile"] = chance.choice(("classic", "shortlived", "tlsserver", "Classic"))
        elif what == 1:
            parameters["notBefore"] = "2026-11-24T02:34:25Z"
        elif what == 2:
            parameters["notAfter"] = chance.choice(("2999-01-01T00:00:00Z", "never"))
            return parameters["notAfter"] != "never"
        elif what == 3:
            self.replace(self.other(rules), parameters)
        elif what == 4:
            identifiers.append(dict(identifiers[0]))
            return False
        else:
            identifiers[0]["type"] = chance.choice(("ip", "dns", "DNS", "email", ""))
            return False
        return True

    def replace(self, rules, parameters):
        order = self.order(rules, 3)
        if order is not None:
            serial = csrs.integer(order.serial)[2:]
            parameters["replaces"] = encode(csrs.AUTHORITY) + "." + encode(serial)

    def check(self, rules, twist):
        listed = [{"type": "ip" if names.is_address(name) else "dns", "value": name}
                  for name in names.own_names(self.chance, rules)]
        return self.finish(rules, "Check", {"identifiers": listed}, twist)

    # What follows an order.

    def claim(self, rules, twist):
        order = self.order(rules, 0)
        if order is None:
            return self.new_order(rules, twist)
        kinds = ["order", "finalize", "authorization"] + self.chance.choice(([], ["challenge"]))
        if order.stage > 0:
            kinds = [self.chance.choice(("challenge", "certificate"))]
        urls = [{"kind": kind, "url": order.urls[kind]} for kind in kinds]
        parameters = {"order": order.opened, "urls": urls}
        if twist:
            self.twist_claim(order, parameters, urls)
        else:
            order.stage = max(order.stage, 1)
        return self.finish(rules, "ClaimUrls", parameters, twist)

    def twist_claim(self, order, parameters, urls):
        chance = self.chance
        other = self.any_order()
        what = chance.randrange(5)
        if what == 0 and other is not None:
            parameters["order"] = other.opened
        elif what == 1 and other is not None:
            urls[0] = {"kind": chance.choice(list(other.urls)),
                       "url": chance.choice(list(other.urls.values()))}
        elif what == 2:
            urls[0]["url"] = order.odd = self.odd_url(urls[0]["url"])
            self.tried.setdefault(order.rules["application"], []).append(order)
        elif what == 3:
            urls[0]["kind"] = chance.choice(("order", "finalize", "challenge", "account", "Order"))
        else:
            urls += [{"kind": "challenge", "url": f"{self.origin}/chall/x{self.count}-{i}"}
                     for i in range(chance.choice((1, 7, 30)))]

    def odd_url(self, url):
        chance = self.chance
        path = url[len(self.origin):]
        return chance.choice((
            chance.choice(self.fixed), chance.choice(self.fixed) + "/", self.fixed[0] + "/orders",
            "https://evil.example" + path, self.origin + ".evil.example" + path,
            self.origin.replace("https://", "https://ca@") + path, self.origin + path + "?x=1",
            self.origin.upper() + path, self.origin + "/a/.." + path, self.origin + "//" + path,
            self.origin + path + "#x", url.replace("https", "http", 1), self.origin, "",
            self.origin + "/%2e%2e" + path, self.origin + path + "\n", self.origin + path + "\0",
            self.origin + path.replace("/", "\\"), self.origin + path + "/", url + "x"))

    def put_odd_url(self, rules, parameters, url):
        """Asks with a URL that is none of the order's; most often one that it tried to claim."""
        tried = self.tried.get(rules["application"])
        if not tried or self.chance.random() < 0.2:
            parameters["url"] = self.odd_url(url)
            return
        order = tried.pop()
        parameters["order"], parameters["url"] = order.opened, order.odd

    def finalize(self, rules, twist):
        order = self.order(rules, 1)
        if order is None:
            return self.claim(rules, twist)
        parameters = {"nonce": self.nonce(), "order": order.opened, "url": order.urls["finalize"],
                      "csr": order.csr}
        meant = ("order", order.names, None, False, order.key.kind)
        if twist and self.chance.random() < 0.75:
            meant = None
            self.twist_finalize(rules, order, parameters)
        elif not twist:
            order.stage = max(order.stage, 2)
        return self.finish(rules, "Finalize", parameters, twist, meant)

    def twist_finalize(self, rules, order, parameters):
        chance = self.chance
        other = self.any_order() or order
        what = chance.randrange(10)
        if what == 0:
            parameters["order"] = other.opened
        elif what == 1:
            parameters["url"] = chance.choice((other.urls["finalize"], order.urls["order"]))
            if chance.random() < 0.3:
                self.put_odd_url(rules, parameters, order.urls["finalize"])
        elif what == 2:
            parameters["csr"] = other.csr
        elif what == 3:
            der = base64.urlsafe_b64decode(order.csr + "===")
            twist = chance.choice((csrs.damage, csrs.damage, csrs.long_lengths))
            parameters["csr"] = encode(twist(chance, der))
        elif what == 4:
            parameters["csr"] = chance.choice((
                order.csr + "=", "", order.csr[:-1], "+/" + order.csr, order.csr + "\n",
                order.csr[:40]))
        else:
            key = order.key if chance.random() < 0.6 else other.key
            parts = csrs.Parts(key, order.names)
            chance.choice(csrs.TWISTS)(chance, parts, [self.foreign_name(rules) for _ in range(2)])
            parameters["csr"] = encode(parts.write())

    def poll(self, rules, twist):
        order = self.order(rules, 1)
        if order is None:
            return self.claim(rules, twist)
        answer = self.chance.random() < 0.25
        kind = "challenge" if answer else self.chance.choice(
            ("order", "authorization", "certificate", "order"))
        parameters = {"nonce": self.nonce(), "order": order.opened, "url": order.urls[kind]}
        if twist:
            other = self.any_order() or order
            what = self.chance.randrange(5)
            if what == 0:
                parameters["order"] = other.opened
            elif what == 1:
                parameters["url"] = self.chance.choice(list(other.urls.values()))
            elif what == 2:
                self.put_odd_url(rules, parameters, order.urls[kind])
            elif what == 3:
                parameters["url"] = self.chance.choice(list(order.urls.values()))
        return self.finish(rules, "AnswerChallenge" if answer else "PostAsGet", parameters, twist)

    def record(self, rules, twist):
        order = self.order(rules, 2)
        if order is None:
            return self.finalize(rules, twist)
        der = order.certificate()
        if twist:
            der = self.twisted_certificate(rules, order)
        else:
            order.stage = 3
        return self.finish(rules, "RecordCertificate", {
            "order": order.opened, "certificate": encode(der), "chain": []}, twist)

    def twisted_certificate(self, rules, order):
        chance = self.chance
        other = self.any_order() or order
        return chance.choice((
            lambda: other.certificate(),
            lambda: csrs.certificate(other.key, order.names, order.serial),
            lambda: csrs.certificate(order.key, other.names, order.serial),
            lambda: csrs.certificate(order.key, order.names, other.serial),
            lambda: csrs.damage(chance, order.certificate())))()

    def revoke(self, rules, twist):
        order = self.order(rules, 2)
        if order is None:
            return self.finalize(rules, twist)
        der = self.twisted_certificate(rules, order) if twist else order.certificate()
        parameters = {"nonce": self.nonce(), "certificate": encode(der)}
        odd = twist and self.chance.random() < 0.4
        reason = self.chance.choice(ODD_REASONS if odd else REASONS)
        if reason is not None:
            parameters["reason"] = reason
        return self.finish(rules, "Revoke", parameters, twist)
