"""The policy check, written from docs/policy.md alone: every rule a loop over all applications.

It is slow and simple on purpose: it has no index, and shares no thought with the signer's.
"""

import datetime
import ipaddress

WARNABLE = ("names.none", "keys", "profiles", "limits.names_per_certificate")
KEYS = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
NAMES_MAX = 100


def is_address(name):
    return ":" in name or name.replace(".", "").isdigit()


def is_below(name, domain):
    return name.endswith("." + domain)


def is_one_below(name, domain):
    return is_below(name, domain) and "." not in name[:-len(domain) - 1]


def networks_of(entries):
    return [ipaddress.ip_network(entry) for entry in entries if is_address(entry.split("/")[0])]


def in_network(address, network):
    return address.version == network.version and address in network


class Asked:
    """What an application asks for; names as text, a wildcard as "*.X"."""

    def __init__(self, operation, names=(), profile=None, validity=False, key=None):
        self.operation = operation      # "order" or "revoke"
        self.names = list(names)
        self.profile = profile
        self.validity = validity
        self.key = key


class Policy:
    def __init__(self, applications, ceilings):
        self.applications = applications
        self.ceilings = ceilings        # of each account
        self.by_name = {rules["application"]: rules for rules in applications}
        self.kept = {}                  # what was decided of a name before

    def choose(self, uid, named):
        """(application or None, rule that refuses or "")"""
        own = [rules for rules in self.applications if rules["uid"] == uid]
        if not own:
            return None, "application.none"
        if named is not None:
            own = [rules for rules in own if rules["application"] == named]
            return (own[0], "") if own else (None, "application.unknown")
        return (own[0], "") if len(own) == 1 else (None, "application.ambiguous")

    def refusals(self, application, asked):
        """The rules of which one may refuse this; empty: it is allowed."""
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        warns = today < application.get("warn_until", "")
        for rule, hit in self.rules_of_request(application, asked, today):
            if hit and not (warns and rule in WARNABLE):
                return {rule}
        if len(asked.names) > NAMES_MAX:
            return {"limits.names_per_certificate"}
        return {rule for rule in (self.rule_of_name(application, name, warns)
                                  for name in asked.names) if rule}

    @staticmethod
    def rules_of_request(application, asked, today):
        yield "application.inert", "user" in application
        yield "application.expired", application.get("expires", "9999-12-31") <= today
        yield "operations", asked.operation not in application.get("operations", ["order"])
        yield ("limits.names_per_certificate",
               len(asked.names) > application.get("names_per_certificate", NAMES_MAX))
        yield "profiles", asked.profile is not None and (
            asked.profile not in application.get("profiles", []))
        yield "validity", asked.validity
        yield "keys", asked.key is not None and asked.key not in application.get("keys", KEYS)

    def rule_of_name(self, application, name, warns):
        place = (application["application"], name)
        if place not in self.kept:
            rules = self.rules_of_address if is_address(name) else self.rules_of_dns
            self.kept[place] = [rule for rule, hit in rules(application, name) if hit]
        for rule in self.kept[place]:
            if not (warns and rule in WARNABLE):
                return rule
        return ""

    def others(self, application):
        for other in self.applications:
            shared = other["application"] in application.get("shares_with", [])
            if other is not application and not shared:
                yield other

    # Host names and wildcards.

    def rules_of_dns(self, application, name):
        wildcard = name.startswith("*.")
        base = name[2:] if wildcard else name
        ceiling = self.ceilings[application["account"]]
        denied = application.get("deny", [])
        yield "account.ceiling", not any(base == c or is_below(base, c) for c in ceiling)
        yield "names.deny", any(name == d or is_below(name, d) for d in denied)
        yield "names.wildcard-covers-denied", wildcard and any(
            is_one_below(d, base) for d in denied)
        yield "names.wildcard-covers-other", wildcard and any(
            self.stands_for_names_of(other, base) for other in self.others(application))
        yield "names.held-by-other", any(
            self.hold(other, name) > self.own_hold(application, name)
            for other in self.others(application))
        yield "names.wildcard-covers-other", wildcard and (
            base not in application.get("wildcards_of", [])) and any(
                is_below(base, domain) for other in self.others(application)
                for domain in other.get("subdomains_of", []))
        yield "names.none", not self.covers(application, name)

    @staticmethod
    def stands_for_names_of(other, base):
        return base in other.get("subdomains_of", []) or any(
            is_one_below(exact, base) for exact in other.get("exact", []))

    @staticmethod
    def covers(application, name):
        if name.startswith("*."):
            return name[2:] in application.get("wildcards_of", [])
        return name in application.get("exact", []) or any(
            is_below(name, domain) for domain in application.get("subdomains_of", []))

    @staticmethod
    def own_hold(application, name):
        """How specifically the application lists a name; 0: not at all."""
        if name.startswith("*."):
            return 1 if name[2:] in application.get("wildcards_of", []) else 0
        if name in application.get("exact", []):
            return 1000
        return max((len(domain.split(".")) for domain in application.get("subdomains_of", [])
                    if is_below(name, domain)), default=0)

    def hold(self, application, name):
        """How specifically it keeps a name from others: its wildcards count as well."""
        held = self.own_hold(application, name)
        if name.startswith("*."):
            return held
        for domain in application.get("wildcards_of", []):
            if is_one_below(name, domain):
                held = max(held, len(domain.split(".")))
        return held

    # Addresses.

    def rules_of_address(self, application, name):
        address = ipaddress.ip_address(name)
        ceiling = networks_of(self.ceilings[application["account"]])
        yield "account.ceiling", not any(in_network(address, network) for network in ceiling)
        yield "names.held-by-other", any(
            self.hold_of_address(other, address) > self.hold_of_address(application, address)
            for other in self.others(application))
        yield "names.none", self.hold_of_address(application, address) < 0

    @staticmethod
    def hold_of_address(application, address):
        """Length of the longest prefix that holds the address; -1: none."""
        longest = -1
        for network in networks_of(application.get("addresses", [])):
            if in_network(address, network):
                longest = max(longest, network.prefixlen)
        return longest
