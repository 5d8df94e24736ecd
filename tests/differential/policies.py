"""The applications of the differential test: some by hand, each for one thing, some by chance.

An application is what its file says, as a dictionary: the files are written from it, and the
simple check (allowed.py) reads it.
"""

import json
import os
import random

FIRST_UID = 61000       # users without a name: policies name them by number
BASE = "dept.example.edu"
OTHER = "lab.example.org"
CEILING = [BASE, "192.0.2.0/24", "2001:db8::/32"]
OTHER_CEILING = [OTHER, BASE]
LISTS = ("exact", "subdomains_of", "wildcards_of", "deny", "addresses")
PEOPLE_PER_MESH = 8


def below(*labels):
    return [f"{label}.{BASE}" for label in labels]


BY_HAND = [
    {"application": "plain", "exact": below("app1"), "subdomains_of": below("app1"),
     "wildcards_of": below("cdn.app1"), "deny": below("pay.app1"),
     "addresses": ["192.0.2.16/28"], "operations": ["order", "revoke"]},
    {"application": "neighbour", "exact": below("www.app1", "shop"), "profiles": ["classic"],
     "operations": ["order", "revoke"]},
    {"application": "central", "subdomains_of": [BASE], "wildcards_of": below("web", "team"),
     "shares_with": ["web"], "operations": ["order", "revoke"], "addresses": ["192.0.2.0/24"],
     "profiles": ["classic", "shortlived"]},
    {"application": "web", "exact": below("www.web", "web"), "wildcards_of": below("www.web")},
    {"application": "deep", "subdomains_of": below("x.team", "y.x.team"), "deny": below("n.x.team"),
     "operations": ["revoke", "order"]},
    {"application": "idn", "exact": below("xn--bcher-kva"),
     "subdomains_of": below("xn--bcher-kva")},
    {"application": "addresses", "addresses": ["192.0.2.0/26", "2001:db8:1::/48"]},
    {"application": "few", "exact": below("few", "a.few", "b.few"), "orders_per_day": 25,
     "revocations_per_day": 4, "operations": ["order", "revoke"]},
    {"application": "strict", "subdomains_of": below("strict"), "keys": ["ec-p384"],
     "names_per_certificate": 3},
    {"application": "no-orders", "exact": below("shop2"), "operations": ["revoke"]},
    {"application": "roll-out", "exact": below("roll"), "keys": ["ec-p384"],
     "names_per_certificate": 2, "deny": below("never.roll"), "warn_until": "2099-01-01"},
    {"application": "expired", "exact": below("old"), "expires": "2020-01-01"},
    {"application": "inert", "exact": below("ghost"), "user": "acmeward-nobody-is-called-so"},
    {"application": "same", "exact": below("app1", "shop"), "operations": ["order", "revoke"]},
    {"application": "twin-a", "exact": below("twin", "a.twin")},
    {"application": "twin-b", "exact": below("twin", "b.twin"), "with": "twin-a"},
    {"application": "elsewhere", "account": "second", "exact": [OTHER] + below("roam"),
     "subdomains_of": [OTHER], "operations": ["order", "revoke"], "profiles": ["classic"]},
    {"application": "elsewhere-2", "account": "second", "exact": ["www." + OTHER],
     "wildcards_of": [OTHER], "operations": ["order", "revoke"]},
]

MESH = below("mesh", "a.mesh", "b.mesh", "x.a.mesh", "y.a.mesh", "x.b.mesh", "z.x.a.mesh")
NETWORKS = ["192.0.2.64/26", "192.0.2.64/28", "192.0.2.72/29", "192.0.2.73", "2001:db8:2::/48",
            "2001:db8:2:1::/64"]


def some(chance, choices, most):
    return chance.sample(choices, chance.randint(0, most))


def by_chance(chance, number):
    """An application whose names overlap with those of others in some way."""
    rules = {"exact": some(chance, MESH, 3), "subdomains_of": some(chance, MESH, 2),
             "wildcards_of": some(chance, MESH, 2), "deny": some(chance, MESH, 1),
             "addresses": some(chance, NETWORKS, 2)}
    if not any(rules[name] for name in LISTS if name != "deny"):
        rules["exact"] = MESH[:1]
    others = [f"mesh-{i}" for i in range(PEOPLE_PER_MESH) if i != number]
    shares = some(chance, others, 1)
    if shares:
        rules["shares_with"] = shares
    if chance.random() < 0.5:
        rules["operations"] = ["order", "revoke"]
    return {"application": f"mesh-{number}", **{k: v for k, v in rules.items() if v}}


def make(seed, uid):
    """All applications. uid: the one user of all, or None for users of their own."""
    chance = random.Random(f"{seed}/policies")
    applications = [dict(rules) for rules in BY_HAND]
    applications += [by_chance(chance, number) for number in range(PEOPLE_PER_MESH)]
    uids = {}
    for number, rules in enumerate(applications):
        name = rules["application"]
        own = uids.get(rules.pop("with", None), FIRST_UID + number)
        uids[name] = own if uid is None else uid
        rules["uid"] = uids[name]
        rules.setdefault("account", "loopback-ov")
    return applications


def write(applications, folder):
    for rules in applications:
        principals = [{"uid": rules["uid"]}]
        if "user" in rules:
            principals.append({"user": rules["user"]})
        limits = {"names_per_certificate": rules.get("names_per_certificate", 100),
                  "orders_per_day": rules.get("orders_per_day", 100000),
              "revocations_per_day": rules.get("revocations_per_day", 100000)}
        document = {"application": rules["application"], "owner": "owner@" + BASE,
                    "account": rules["account"], "principals": principals, "limits": limits,
                    "names": {name: rules[name] for name in LISTS if name in rules}}
        for name in ("operations", "keys", "profiles", "shares_with"):
            if name in rules:
                document[name] = rules[name]
        path = os.path.join(folder, rules["application"] + ".yaml")
        with open(path, "w", encoding="ascii") as file:
            for key, value in document.items():     # JSON is YAML
                file.write(f"{key}: {json.dumps(value)}\n")
            for name in ("expires", "warn_until"):
                if name in rules:
                    file.write(f"{name}: {rules[name]}\n")
