"""What administrators change while the signer is killed: done, or not done and good to be repeated.

Used by killing.py: one change a round. Each is a step of a cycle, after which something can be seen.
"""

import json
import threading

ADMIN = "org.acmeward.Admin."
ACCOUNT = "loopback-ov"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
# The answers to what was done already, when only its answer was lost.
DONE = ("exists", "not-found")


class Step:
    def __init__(self, method, state=None, **parameters):
        self.method, self.state, self.parameters = method, state, parameters


def frozen(ask):
    return any(item["application"] == "other" for item in ask("GetStatus")["frozen_applications"])


def has_eab(kid):
    return lambda ask: any(eab["kid"] == kid for eab in ask("ListEabs")["eabs"])


def key_change(ask):
    return next(account for account in ask("ListAccounts")["accounts"]
                if account["name"] == ACCOUNT)["key_change"]


class Changes:
    """`connect()` gives a connection to the administrators' socket; `wrapped`: what eab wrap wrote."""

    def __init__(self, connect, random, wrapped):
        terms = ("ca", "kid", "algorithm", "bits", "wrapping_key", "wrapped", "check")
        account = {"account": ACCOUNT}
        self.connect, self.random = connect, random
        self.cycles = [
            (frozen, [Step("Freeze", True, reason="drill", application="other"),
                      Step("Unfreeze", False, application="other")]),
            (has_eab("k"), [Step("ImportEab", True, ca="loopback", kid="k", algorithm="HS256",
                                 key=KEY, force=False),
                            Step("DestroyEab", False, ca="loopback", kid="k")]),
            (has_eab(wrapped["kid"]), [
                Step("ImportWrappedEab", True, force=False, **{term: wrapped[term] for term in terms}),
                Step("DestroyEab", False, ca="loopback", kid=wrapped["kid"])]),
            (key_change, [Step("StartKeyChange", "made", **account),
                          Step("SignKeyChange", "attempted", nonce="n-1", **account),
                          Step("ConfirmKeyChange", "confirmed", **account),
                          Step("DestroyOldKey", "none", **account)]),
            (None, [Step("RotateLog")]),
            (None, [Step("MakeCheckpoint")]),
            (None, [Step("RotateAuditKey")]),
            (None, [Step("Reload")]),
        ]
        self.made = {}          # by method: how many were answered, and how many not
        self.answer = None
        self.thread = None
        with connect() as connection:
            url = self.ask(connection)("ListAccounts")["accounts"][0]["url"]
        self.cycles[3][1][2].parameters["url"] = url

    @staticmethod
    def ask(connection):
        def one(method, **parameters):
            answer = connection.call(method, ADMIN, **parameters)
            assert "error" not in answer, (method, answer)
            return answer["parameters"]
        return one

    def begin(self):
        """One change, in a thread; which, the seed says."""
        self.look, steps = self.cycles[self.random.randrange(len(self.cycles))]
        self.step = steps[0]
        steps.append(steps.pop(0))
        self.answer = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            with self.connect() as connection:
                self.answer = connection.call(self.step.method, ADMIN, **self.step.parameters)
        except OSError:
            pass        # killed

    def join(self):
        self.thread.join(60)
        count = self.made.setdefault(self.step.method, [0, 0])
        count[self.answer is None] += 1

    def check(self):
        """What was answered is done; what was not is done, or is by the same call again."""
        answer = self.answer
        if answer is not None and answer.get("error") == ADMIN + "Unavailable":
            answer = None       # of a signer that ends
        with self.connect() as connection:
            again = answer is None
            if again:
                answer = connection.call(self.step.method, ADMIN, **self.step.parameters)
            tag = answer["parameters"].get("tag") if "error" in answer else None
            fine = "error" not in answer or (again and self.look and tag in DONE) or \
                (self.step.method == "RotateLog" and tag == "not-found")   # nothing in it yet
            assert fine, (self.step.method, again, answer)
            if self.look is not None:
                state = self.look(self.ask(connection))
                assert state == self.step.state, (self.step.method, again, state, json.dumps(answer))
