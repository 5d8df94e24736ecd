"""Names for hostile requests: what an application may ask for, and what it would like to have."""

import ipaddress

LABELS = ("www", "a", "b", "x", "host1", "mail-2", "n", "pay", "cdn", "team", "xn--bcher-kva")


def own(chance, rules):
    """A name that the application lists; others may hold it more specifically."""
    kind = chance.choice([name for name in ("exact", "subdomains_of", "subdomains_of",
                                            "wildcards_of", "addresses") if rules.get(name)])
    entry = chance.choice(rules[kind])
    if kind == "addresses":
        network = ipaddress.ip_network(entry)
        return str(network[chance.randrange(min(network.num_addresses, 1 << 20))])
    if kind == "subdomains_of":
        labels = [chance.choice(LABELS) for _ in range(chance.choice((1, 1, 2)))]
        return ".".join(labels + [entry])
    return "*." + entry if kind == "wildcards_of" else entry


def own_names(chance, rules):
    most = min(rules.get("names_per_certificate", 4), 4)
    names = [own(chance, rules) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    return list(dict.fromkeys(names))[:most]


def twisted(chance, name, foreign):
    """A name that is nearly the given one, or somebody else's in disguise."""
    label, _, rest = name.partition(".")
    return chance.choice((
        foreign, foreign, "*." + foreign, "*." + name, "*." + rest, rest, "www." + name,
        "x." + foreign, "evil-" + foreign, foreign + ".evil.example", name + ".", "." + name,
        name.replace(".", "..", 1), label + "x." + rest, label + "*." + rest, "*.*." + name,
        "a.*." + name, "b\u00fccher." + name, name.replace("e", "\u0435"), "\u202e" + name,
        name.replace(".", "\u3002"), name.replace("k", "\u212a"), "xn--a." + name,
        "ab--c." + name, "xn--bcher-kva." + name, "a_b." + name, "-a." + name,
        "a" * 64 + "." + name,
        "a" * 63 + "." + name, ".".join(["a" * 60] * 4) + "." + name, name + "\0", name + "\0.x",
        foreign + "\0." + name, " " + name, name + "\n", name.replace(".", " ", 1), rest + ".1",
        "192.0.2.17", "1.2.3.4", "0300.0.2.17", "[2001:db8::1]", "localhost", "", "*", "*.",
        name + ":443", name + "/", "%2a." + name, "\\u002a." + name, name.upper()))


def is_address(name):
    return ":" in name or bool(name) and name.replace(".", "").isdigit()


def twisted_address(chance):
    return chance.choice((
        "192.0.2.17", "192.0.2.1", "192.0.2.70", "192.0.2.73", "192.0.3.1", "10.0.0.1",
        "2001:db8:1::5", "2001:DB8:1::5", "2001:db8:1:0:0:0:0:5", "2001:db8:2:1::9", "2001:db9::1",
        "::ffff:192.0.2.17", "192.0.2.017", "192.0.2", "0xc0.0.2.17", "192.0.2.17/32",
        "2001:db8::1%eth0", "fe80::1", "127.0.0.1", "::1", "192.0.2.17 ", ""))
