#!/usr/bin/python3
"""The differential test: hostile requests to a real signer, and a second opinion on what it signs.

    run.py [--requests 10000] [--seed N]

Each JWS that comes out is decoded with Python's json and asn1crypto and held against a policy check
and an order memory of their own. The seed is printed: the same one asks the same again. As root,
each application has a user of its own; else all have this one.
"""

import argparse
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import checker  # noqa: E402
import policies  # noqa: E402
from allowed import Asked, Policy  # noqa: E402
from connections import Connections  # noqa: E402
from hostile import Hostile  # noqa: E402
from world import World  # noqa: E402

WAVE = 500
SIGNED_AT_LEAST = 0.2   # of the requests: else most of the test would be of refusals
OPERATIONS = {"new-order", "finalize", "post-as-get", "answer-challenge", "revoke"}
SECOND = """  - name: second
    ca: loopback
    key: rsa-2048
    ceiling: [{}]
"""


def start(world, applications):
    """The signer with two accounts; gives what is known of it."""
    policies.write(applications, world.path("etc", "policy.d"))
    world.write_config(extra_accounts=SECOND.format(", ".join(policies.OTHER_CEILING)))
    world.start_signer()
    world.admin("ca", "pin", "loopback", "--yes")
    world.import_eab()
    accounts = []
    for name in ("loopback-ov", "second"):
        world.register(name)
        shown = world.admin("--json", "account", "show", name).json()
        accounts.append((name, shown["url"], json.loads(shown["jwk"])))
    with open(world.path("state", "cas", "loopback.json"), encoding="ascii") as file:
        pin = json.load(file)["pin"]
    fixed = [url for name, url in pin.items() if name in (
        "newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo") and url]
    pins = {"new_order": pin["newOrder"], "revoke": pin["revokeCert"], "origin": world.ca.origin,
            "fixed": [accounts[0][1], world.ca.directory] + fixed}
    ceilings = {"loopback-ov": world.ceiling, "second": policies.OTHER_CEILING}
    return checker.Facts(applications, ceilings, accounts, pins)


def note_tickets(requests, replies, tickets):
    for request, reply in zip(requests, replies):
        if request.method == "NewOrder" and b'"order":' in reply:
            tickets[request.index] = json.loads(reply)["parameters"]["order"]


def ask_wave(connections, wave, tickets):
    """Sends a wave; gives (uid, asked, request, reply) of every message."""
    exchanges, messages, senders = [], {}, {}
    for request in wave:
        text = request.write(tickets)
        messages.setdefault(request.uid, bytearray()).extend(text)
        # A NUL within makes several messages of one: what they mean is known of none.
        parts = text.split(b"\0")[:-1]
        senders.setdefault(request.uid, []).extend(
            (request, request.asked if len(parts) == 1 else None, part) for part in parts)
    for uid, replies in connections.exchange(messages).items():
        sent = senders[uid]
        note_tickets([request for request, _, _ in sent], replies, tickets)
        exchanges += [(uid, asked, part, reply)
                      for (_, asked, part), reply in zip(sent, replies, strict=True)]
    return exchanges


def ask_all(world, facts, options, pipe):
    policy = Policy(facts.applications, facts.ceilings)
    hostile = Hostile(options.seed, facts.applications, facts.pins, lambda rules, names: not (
        policy.refusals(rules, Asked("order", names))))
    tickets = {}
    uids = {rules["uid"] for rules in facts.applications}
    with Connections(world.socket, uids) as connections:
        for begin in range(0, options.requests, WAVE):
            wave = hostile.wave(min(WAVE, options.requests - begin))
            pipe.send(ask_wave(connections, wave, tickets))


def tell(options, outcome, seconds):
    """Prints the figures; gives the status to end with."""
    def counts(name):
        for what, count in sorted(outcome[name].items(), key=lambda item: -item[1]):
            print(f"  {count:7} {what}")
    signed = sum(outcome["signed"].values())
    print(f"{options.requests} requests in {seconds:.0f} s; JWSs checked: {signed}")
    counts("signed")
    print(f"refused: {sum(outcome['refused'].values())}")
    counts("refused")
    print(f"not signed, but answered: {outcome['other']}; records in the log: {outcome['records']}")
    print(f"disagreements: {outcome['faults']}")
    for fault in outcome["shown"]:
        print(fault)
    if signed < SIGNED_AT_LEAST * options.requests or not OPERATIONS <= set(outcome["signed"]):
        print("too few JWSs, or not of every operation: this test tested too little")
        return 1
    return 1 if outcome["faults"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"       # thousands of records, each synced
    applications = policies.make(options.seed, None if os.geteuid() == 0 else os.geteuid())
    with World(ceiling=policies.CEILING) as world:
        began = time.monotonic()
        facts = start(world, applications)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=checker.serve, args=(facts, theirs, ours))
        process.start()
        theirs.close()
        try:
            ask_all(world, facts, options, ours)
            world.stop_signer()
            ours.send(world.path("state", "audit", "audit.jsonl"))
            outcome = ours.recv()
        finally:
            ours.close()
            process.join()
        status = tell(options, outcome, time.monotonic() - began)
    sys.exit(status)


if __name__ == "__main__":
    main()
