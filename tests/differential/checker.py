"""Looks at every reply, and at the end at the log, in a process beside the one that asks."""

import collections
import json
import traceback

from allowed import Asked, Policy
from memory import Memory
from reader import Account, Reader
from x509 import need

SHOWN = 10      # disagreements told in full


class Facts:
    """What the checker is told of the world: applications and ceilings as written, the accounts'
    URLs and public keys as the signer shows them, the CA's directory."""

    def __init__(self, applications, ceilings, accounts, pins):
        self.applications, self.ceilings = applications, ceilings
        self.accounts, self.pins = accounts, pins


class Checker:
    def __init__(self, facts):
        self.policy = Policy(facts.applications, facts.ceilings)
        self.reader = Reader([Account(*account) for account in facts.accounts], facts.pins)
        self.signed = []
        self.refused = collections.Counter()
        self.other = 0
        self.faults = []

    def look(self, uid, asked, request, reply):
        try:
            self.check(uid, asked, json.loads(reply))
        except Exception:   # whatever does not read as expected is a disagreement
            self.faults.append(f"uid {uid}\n{request!r}\n{reply!r}\n{traceback.format_exc()}")

    def check(self, uid, asked, reply):
        if "error" in reply:
            rule = reply["parameters"].get("rule", "")
            self.refused[reply["error"].rpartition(".")[2] + (rule and " " + rule)] += 1
            if asked is not None and reply["error"] == "org.acmeward.Signer.PolicyRefused":
                rules = self.rules(uid, asked)
                need(rule in rules, f"refused by {rule}; expected one of {sorted(rules)}")
        elif "jws" in reply["parameters"]:
            self.check_signed(uid, asked, reply["parameters"])
        else:
            self.other += 1

    def rules(self, uid, asked):
        owner, named, operation, names, profile, validity, key = asked
        need(owner == uid, "asked as another user")
        application, rule = self.policy.choose(uid, named)
        if application is None:
            return {rule}
        return self.policy.refusals(application, Asked(operation, names, profile, validity, key))

    def check_signed(self, uid, asked, reply):
        signed = self.reader.read(reply["jws"])
        self.signed.append((uid, signed))
        need(reply["url"] == signed.url, "another URL in the reply than in the JWS")
        if signed.operation == "new-order":
            need(reply["names"] == list(signed.names), "other names in the reply than in the JWS")
        if asked is not None:
            rules = self.rules(uid, asked)
            need(not rules, f"signed, but to be refused by {sorted(rules)}")
            need(sorted(asked[3]) == sorted(signed.names), f"signed for {list(signed.names)}")

    def end(self, log):
        """Compares with the log; gives what is to be told."""
        records, permits = 0, {}
        memory = Memory(self.policy, self.signed)
        try:
            records = memory.read(log)
            permits = dict(memory.permits)
        except Exception:
            self.faults.append(f"the log\n{traceback.format_exc()}")
        return {"signed": dict(collections.Counter(jws.operation for _, jws in self.signed)),
                "refused": dict(self.refused), "other": self.other, "records": records,
                "permits": permits, "faults": len(self.faults), "shown": self.faults[:SHOWN]}


def serve(facts, pipe, other_end):
    """Takes waves of (uid, asked, request, reply), then the log's path, and sends the outcome."""
    other_end.close()       # else the end of the asking process would not be seen
    checker = Checker(facts)
    try:
        while not isinstance(wave := pipe.recv(), str):
            for exchange in wave:
                checker.look(*exchange)
        pipe.send(checker.end(wave))
    except EOFError:
        pass    # who asks has failed, and says why
