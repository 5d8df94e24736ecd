#!/usr/bin/python3
"""make_corpus.py [NAME ...]: writes the seeds of tests/fuzz/corpus/; without names all of them.

Files good-* must be accepted by their target, files bad-* must not. Keys are made here and thrown
away: a run of this script makes other CSRs and certificates. Inputs that once failed have other
names and are left alone.
"""

import base64
import contextlib
import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
B64 = "BwcHBwcH"


def put(target, name, content):
    folder = os.path.join(CORPUS, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def put_all(target, seeds):
    for name, content in seeds.items():
        put(target, name, content)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_seeds():
    put_all("json", {
        "good-values": '{"a":[1,-2,true,false,null,"x"],"b":{"c":{}},"d":9007199254740991}',
        "good-escapes": r'["\u0001\u001b\"\\\/\b\f\n\r\t\u00fc\ud83d\ude00ü😀","\u007f\u0085"]',
        "good-deep": "[[[[[[[[]]]]]]]]",
        "good-white": ' \t\r\n{ "a" : 0 }\n',
        "good-scalar": '"text"',
        "bad-deep": "[[[[[[[[[]]]]]]]]]",
        "bad-tolerated-numbers": '{"a":1.5,"b":-1e3,"c":9007199254740993}',
        "bad-duplicate": r'{"a":1,"\u0061":2}',
        "bad-nul": r'["\u0000"]',
        "bad-surrogate": r'["\ud800"]',
        "bad-bom": "\ufeff{}",
        "bad-utf8": b'["\xc0\xaf"]',
        "bad-trailing": "{}{}",
        "bad-zero": "[007]",
    })


DNS = {"type": "dns", "value": "www.example.edu"}
BASE = "https://ca.example.edu:14000/acme/"

REQUESTS = {
    "NewOrder": {"application": "dept_myapp1", "nonce": "abc-_9", "identifiers": [
        DNS, {"type": "dns", "value": "*.example.edu"}, {"type": "ip", "value": "192.0.2.1"},
        {"type": "ip", "value": "2001:db8::1"}], "profile": "classic",
        "notBefore": "2026-11-24T02:34:25Z", "notAfter": "2026-12-24T02:34:25Z",
        "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
    "ClaimUrls": {"order": 7, "urls": [
        {"kind": "order", "url": BASE + "order/1"},
        {"kind": "finalize", "url": BASE + "order/1/finalize"},
        {"kind": "authorization", "url": BASE + "authz/1"},
        {"kind": "challenge", "url": "https://192.0.2.7/chall/1"},
        {"kind": "certificate", "url": "https://[2001:db8::1]/cert/1"}]},
    "Finalize": {"nonce": "n", "order": 7, "url": BASE + "order/1/finalize", "csr": B64},
    "PostAsGet": {"nonce": "n", "order": 7, "url": BASE + "authz/1"},
    "AnswerChallenge": {"nonce": "n", "order": 7, "url": BASE + "chall/1"},
    "Revoke": {"nonce": "n", "certificate": B64, "reason": 4},
    "RecordCertificate": {"order": 7, "certificate": B64, "chain": [B64, B64]},
    "Check": {"identifiers": [DNS], "key": "ec-p256", "profile": "classic"},
    "WhoAmI": {},
}


def call(method, parameters):
    return compact({"method": "org.acmeward.Signer." + method, "parameters": parameters})


def request_seeds():
    for method, parameters in REQUESTS.items():
        put("request", "good-" + method, call(method, parameters))
    order = REQUESTS["NewOrder"]
    put_all("request", {
        "good-no-parameters": '{"method":"org.acmeward.Signer.WhoAmI"}',
        "bad-unknown-method": call("Sign", {"payload": "x"}),
        "bad-other-interface": '{"method":"org.acmeward.Admin.WhoAmI"}',
        "bad-more": '{"method":"org.acmeward.Signer.WhoAmI","more":true}',
        "bad-name-twice": call("NewOrder", {"nonce": "n", "identifiers": [DNS, DNS]}),
        "bad-member": call("NewOrder", dict(order, payload="x")),
        "bad-order": call("PostAsGet", dict(REQUESTS["PostAsGet"], order=0)),
        "bad-url": call("PostAsGet", dict(REQUESTS["PostAsGet"], url=BASE + "a/../b")),
        "bad-reason": call("Revoke", dict(REQUESTS["Revoke"], reason=2)),
    })
    relay_request_seeds()


SEEN = {"address": "192.0.2.7", "client_certificate": "0a" * 32, "validated": "http-01"}
JWS = {"protected": B64, "payload": "", "signature": B64}
SIGNED = {"evidence": JWS, "seen": SEEN}
RELAY_REQUESTS = {
    "GetNonces": {"count": 256},
    "FindAccount": {"thumbprint": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
    "GetAccount": {"account": 7},
    "NewAccount": SIGNED,
    "ChangeKey": {"evidence": JWS, "seen": {}},
    "DeactivateAccount": {"evidence": JWS, "seen": {"address": "2001:db8::1"}},
    "NewOrder": dict(SIGNED, nonce="n", again=7),
    "ClaimUrls": REQUESTS["ClaimUrls"],
    "Finalize": dict(SIGNED, nonce="n", order=7, url=BASE + "order/1/finalize"),
    "PostAsGet": REQUESTS["PostAsGet"],
    "AnswerChallenge": REQUESTS["AnswerChallenge"],
    "Revoke": dict(SIGNED, nonce="n", again=False),
    "RecordCertificate": REQUESTS["RecordCertificate"],
}


def relay_call(method, parameters):
    return compact({"method": "org.acmeward.Relay." + method, "parameters": parameters})


def relay_request_seeds():
    """Of what a relay calls; its clients' requests are in relay_seeds()."""
    for method, parameters in RELAY_REQUESTS.items():
        put("request", "good-relay-" + method, relay_call(method, parameters))
    put_all("request", {
        "bad-relay-seen": relay_call("NewAccount", dict(SIGNED, seen={"user": "root"})),
        "bad-relay-address": relay_call("NewAccount", dict(SIGNED, seen={"address": "192.0.2"})),
        "bad-relay-names": relay_call("NewOrder", dict(SIGNED, nonce="n", identifiers=[DNS])),
        "bad-relay-nonces": relay_call("GetNonces", {"count": 257}),
        "bad-relay-jws": relay_call("ChangeKey", {"evidence": dict(JWS, header={}), "seen": {}}),
        "bad-relay-again": relay_call("NewOrder", dict(SIGNED, nonce="n", again=0)),
    })


RELAY = "https://relay.example.edu:14443"
EC_KEY = {"crv": "P-256", "kty": "EC", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
ED_KEY = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def b64url(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def evidence(path, payload, **members):
    header = {"alg": "ES256", "kid": RELAY + "/acme/account/7", "nonce": "oFvnlFP1wIhRlYS2jTaXbA",
              "url": RELAY + path}
    header.update(members)
    header = {name: value for name, value in header.items() if value is not None}
    return compact(header) + "\n" + (payload if isinstance(payload, str) else compact(payload))


def evidence_seeds():
    names = {"identifiers": [DNS]}
    binding = {"alg": "HS256", "kid": "app-x", "url": RELAY + "/acme/new-account"}
    binding = {"protected": b64url(compact(binding)), "payload": b64url(compact(EC_KEY)), "signature": "AA"}
    inner = {"alg": "EdDSA", "jwk": ED_KEY, "url": RELAY + "/acme/key-change"}
    inner = {"protected": b64url(compact(inner)), "signature": "AA",
             "payload": b64url(compact({"account": RELAY + "/acme/account/7", "oldKey": EC_KEY}))}
    put_all("evidence", {
        "good-new-order": evidence("/acme/new-order", dict(names, profile="classic", notAfter="2027-01-01T00:00:00Z", x=1.5)),
        "good-finalize": evidence("/acme/order/9/finalize", {"csr": B64}),
        "good-revoke": evidence("/acme/revoke-cert", {"certificate": B64, "reason": 1}, kid=None, jwk=EC_KEY),
        "good-new-account": evidence("/acme/new-account", {"externalAccountBinding": binding}, kid=None, jwk=EC_KEY),
        "good-deactivate": evidence("/acme/account/7", {"status": "deactivated"}),
        "good-binding": evidence("/acme/new-account", {"status": "deactivated"}, alg="HS512", nonce=None),
        "bad-key-change": evidence("/acme/key-change", inner, kid=None, jwk=EC_KEY),
        "bad-both": evidence("/acme/new-order", names, jwk=EC_KEY),
        "bad-neither": evidence("/acme/new-order", names, kid=None),
        "bad-none": evidence("/acme/new-order", names, alg="none"),
        "bad-crit": evidence("/acme/new-order", names, crit=["url"]),
        "bad-b64": evidence("/acme/new-order", names, b64=False),
        "bad-private": evidence("/acme/new-order", names, kid=None, jwk=dict(EC_KEY, d="AA")),
        "bad-empty-payload": evidence("/acme/new-order", ""),
        "bad-name-twice": evidence("/acme/new-order", {"identifiers": [DNS, DNS]}),
        "bad-status": evidence("/acme/account/7", {"status": "valid"}),
        "bad-member-twice": evidence("/acme/new-order", names).replace('"alg"', '"alg":"ES256","alg"', 1),
    })


def name_seeds():
    good = ["www.example.edu", "*.example.edu", "WWW.Example.EDU", "xn--bcher-kva.example.edu",
            "bücher.example.edu", "localhost", "192.0.2.1", "2001:db8::1", "::192.0.2.1",
            "192.0.2.16/28", "2001:db8::/32", "a" * 63 + ".example.edu", "1.2.3.a4"]
    bad = ["", "example..edu", "www.example.edu.", "f*.example.edu", "*.*.example.edu", "a_b.edu",
           "ab--c.edu", "xn--a.edu", "1.2.3.4.5", "192.0.2.01", "2001:DB8::1", "192.0.2.17/28",
           "a" * 64 + ".edu", "-a.edu", "a b.edu", "evil.edu\u202e", "fe80::1%eth0", "0x7f.1",
           "::ffff:192.0.2.1"]
    for number, name in enumerate(good):
        put("names", f"good-{number:02}", name)
    for number, name in enumerate(bad):
        put("names", f"bad-{number:02}", name)


def tree(value):
    """A value as signer/channel.h has it."""
    if isinstance(value, dict):
        return b"o" + struct.pack("=I", len(value)) + b"".join(
            text_of(name) + tree(member) for name, member in value.items())
    if isinstance(value, list):
        return b"a" + struct.pack("=I", len(value)) + b"".join(tree(item) for item in value)
    if isinstance(value, str):
        return b"s" + text_of(value)
    if value is None or isinstance(value, bool):
        return {None: b"n", True: b"t", False: b"f"}[value]
    return b"i" + struct.pack("=q", value)


def text_of(text):
    octets = text.encode()
    return struct.pack("=I", len(octets)) + octets


def channel_seeds():
    method = text_of("org.acmeward.Signer.NewOrder")
    full = tree({"nonce": "n", "names": ["a.example", "b.example"], "order": 7, "all": True,
                 "none": None, "not": False, "in": {"x": [{}, [], -1]}})
    put_all("gate_message", {
        "good-empty": method + tree({}),
        "good-full": method + full,
        "good-deep": method + tree({"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}),
        "good-text": method + tree({"text": "\u20ac \u0001 \U0001f600"}),
        "bad-deep": method + tree({"a": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}),
        "bad-twice": method + b"o" + struct.pack("=I", 2) + 2 * (text_of("a") + b"n"),
        "bad-behind": method + full + b"n",
        "bad-cut": (method + full)[:-3],
        "bad-parameters": method + tree([1]),
        "bad-method": text_of("NewOrder") + tree({}),
        "bad-nul": method + tree({"a": "x\0y"}),
        "bad-utf8": method + b"o" + struct.pack("=I", 1) + text_of("a") + b"s\x02\0\0\0\xc0\x80",
        "bad-number": method + tree({"a": 2 ** 53}),
        "bad-tag": method + b"x",
        "bad-count": method + b"o\xff\xff\xff\xff",
    })


def url_seeds():
    put_all("url", {
        "good-two": BASE + "order/1\n" + BASE + "order/2",
        "good-other-port": BASE + "a\nhttps://ca.example.edu/a",
        "good-address": "https://192.0.2.1/a/b-._~/\nhttps://[2001:db8::1]:8443/a/",
        "good-single-label": "https://pebble:14000/my-order/AbC_123",
        "bad-pin": "https://ca.example.edu/acme/directory?x=1&y=a:b+c,@",
        "bad-user": "https://ca@evil.example/a",
        "bad-port": "https://ca.example.edu:443/a",
        "bad-port-zero": "https://ca.example.edu:0443/a",
        "bad-fragment": "https://ca.example.edu/a#b",
        "bad-dots": "https://ca.example.edu/a/../b",
        "bad-slashes": "https://ca.example.edu//a",
        "bad-percent": "https://ca.example.edu/a%2fb",
        "bad-case": "https://CA.example.edu/a",
        "bad-number": "https://0x7f.1/a",
        "bad-dot": "https://ca.example.edu./a",
        "bad-scheme": "http://ca.example.edu/a",
    })


def relay_seeds():
    """Every endpoint of the relay, by account 7 or by its key; identifiers as clients send them."""
    order = compact({"identifiers": [{"type": "dns", "value": "www.example.edu"}]})
    seeds = {
        "good-directory": "GET /directory raw\n",
        "good-nonce": "HEAD /acme/new-nonce raw\n",
        "bad-put": "PUT /directory raw\n",
        "bad-get": "GET /acme/new-order raw\n",
        "bad-type": "POST /acme/new-order json\n{}",
        "bad-jws": "POST /acme/new-order raw\n"
                   + compact({"protected": "e30", "payload": "", "signature": "AA"}),
        "bad-twice": 'POST /acme/new-order raw\n{"protected":"e30","protected":"e30"}',
        "good-account-known": "POST /acme/new-account jwk\n"
                              + compact({"termsOfServiceAgreed": True}),
        "good-account-existing": "POST /acme/new-account jwk\n"
                                 + compact({"onlyReturnExisting": True}),
        "good-account": "POST /acme/account/7 kid\n",
        "account-contact": "POST /acme/account/7 kid\n"
                           + compact({"contact": ["mailto:a@example.edu"]}),
        "good-orders": "POST /acme/account/7/orders kid\n",
        "bad-others-orders": "POST /acme/account/8/orders kid\n",
        "key-change": "POST /acme/key-change kid\n"
                      + compact({"protected": "e30", "payload": "e30", "signature": "AA"}),
        "new-order": "POST /acme/new-order kid\n" + order,
        "order": "POST /acme/order/1 kid\n",
        "finalize": "POST /acme/order/1/finalize kid\n" + compact({"csr": "MIIB"}),
        "authz": "POST /acme/authz/1/1 kid\n",
        "challenge": "POST /acme/challenge/1/1/http-01 kid\n{}",
        "certificate": "POST /acme/certificate/1/2 kid\n",
        "revoke": "POST /acme/revoke-cert jwk\n" + compact({"certificate": "MIIB", "reason": 1}),
        "renewal-info": "GET /acme/renewal-info/AQI.Aw raw\n",
    }
    put_all("relay_request", seeds)


def b64url_seeds():
    put_all("b64url", {
        "good-url": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ-_A",
        "good-empty": "", "good-one": "AA", "good-two": "AAA", "good-four": "AAAA",
        "good-padded": " zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9w+/AA==\n",
        "bad-bits": "AB", "bad-mixed": "-_+/", "bad-length": "AAAAA", "bad-inside": "AA AA",
        "bad-padding": "AA=", "bad-nul": b"AA\0A",
    })


SIGNER = """\
token:
  module: /usr/lib/softhsm/libsofthsm2.so
  uri: "pkcs11:token=acmeward;serial=1234"
  pin_source: /etc/acmeward/pin
  sessions: 8
  timeout_ms: 10000
paths:
  state: /var/lib/acmeward
  policies: /etc/acmeward/policy.d
  application_socket: /run/acmeward/signer.sock
  admin_socket: /run/acmeward/admin.sock
openssl_properties: fips=yes
cas:
  - name: incommon
    directory: https://acme.sectigo.com/v2/InCommonRSAOV
    ca_file: /etc/acmeward/roots.pem
    issuers: /etc/acmeward/issuers.pem
  - name: loopback
    directory: https://127.0.0.1:14000/dir
accounts:
  - name: incommon-ov
    ca: incommon
    key: ec-p384
    orders_per_day: 300
    ceiling: [dept.example.edu, bücher.example.edu, 192.0.2.0/24, "2001:db8::/32"]
  - {name: other, ca: loopback, ceiling: [example.edu]}
administrators:
  officers:
    - user: root
  operators:
    - group: adm
"""


def config_seeds():
    put_all("config", {
        "good-full": SIGNER,
        "good-flow": "{token: {module: /m, uri: 'pkcs11:token=t'}, "
                     "cas: [{name: a, directory: 'https://a/d'}], "
                     "accounts: [{name: b, ca: a, ceiling: [c.edu]}], "
                     "administrators: {officers: [{user: root}]}}\n",
        "bad-unknown": SIGNER + "extra: 1\n",
        "bad-ca": SIGNER.replace("ca: incommon", "ca: nowhere"),
        "bad-http": SIGNER.replace("https://acme", "http://acme"),
        "bad-twice": SIGNER.replace("name: other", "name: incommon-ov"),
        "bad-path": SIGNER.replace("state: /var", "state: var"),
        "bad-issuers": SIGNER.replace("issuers: /etc", "issuers: etc"),
        "bad-officer": SIGNER.replace("- user: root", "- {user: root, group: adm}"),
        "bad-ceiling": SIGNER.replace("[dept.example.edu,", "['*.dept.example.edu',"),
        "bad-anchor": SIGNER.replace("name: other", "name: &a other"),
        "bad-empty": "",
    })
    client = ("signer: /run/acmeward/signer.sock\nsigner_user: root\n"
              "certificates: /etc/acmeward\nca_file: /etc/acmeward/roots.pem\n"
              "proxy: http://proxy.example.edu:3128\napplication: dept_myapp1\n"
              "key_type: rsa-3072\nhttp_01_port: 8080\nhttp_01_address: 127.0.0.1\n")
    put_all("client_config", {
        "good-full": client,
        "good-empty": "# defaults\n",
        "bad-user": client.replace("signer_user: root", "signer_user: no-such-user-here"),
        "bad-port": client.replace("8080", "80800"),
        "bad-key": client.replace("rsa-3072", "rsa-1024"),
        "bad-path": client.replace("signer: /run", "signer: run"),
        "bad-eab": client + "eab_hmac_key: x\n",
    })


POLICY = """\
application: dept_myapp1
owner: myapp1-team@dept.example.edu
account: main
principals:
  - user: myapp1
  - group: web-operators
  - uid: 1042
  - gid: 1043
names:
  exact: [myapp1.example.edu, pay.other.example.edu]
  subdomains_of: [myapp1.example.edu, uni.example]
  wildcards_of: [cdn.myapp1.example.edu]
  deny: [pay.myapp1.example.edu]
  addresses: [192.0.2.16/28, 192.0.2.1]
operations: [order, revoke]
keys: [ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096]
profiles: [classic, shortlived]
limits:
  names_per_certificate: 20
  orders_per_day: 50
shares_with: [central]
expires: 2027-06-30
warn_until: 2026-12-31
"""
CENTRAL = """\
application: central
owner: central@example.edu
account: other
principals: [{user: root}]
names:
  subdomains_of: [example.edu]
  wildcards_of: [example.edu, bücher.example.edu]
  deny: [secret.example.edu]
limits: {orders_per_day: 10}
"""
GHOST = """\
application: ghost
owner: g
account: nothing
principals: [{user: ghost1}]
names: {exact: [outside.example.org]}
"""


def policy_seeds():
    put_all("policy", {
        "good-three": POLICY + "%%\n" + CENTRAL + "%%\n" + GHOST,
        "good-one": CENTRAL,
        "good-unshared": POLICY.replace("[central]", "[]") + "%%\n" + CENTRAL,
        "bad-same-name": CENTRAL + "%%\n" + CENTRAL,
        "bad-shares": POLICY,
        "bad-account": CENTRAL.replace("account: other", "account: nowhere"),
        "bad-suffix": CENTRAL.replace("[example.edu]", "[co.uk]"),
        "bad-label": CENTRAL.replace("[example.edu]", "[edu]"),
        "bad-nobody": CENTRAL.replace("user: root", "uid: 65534"),
        "bad-quota": (CENTRAL.replace("account: other", "account: main")
                      .replace("orders_per_day: 10", "orders_per_day: 101")),
        "bad-torn": CENTRAL[:len(CENTRAL) // 2],
        "bad-empty": "",
    })


def yaml_seeds():
    put_all("yaml", {
        "good-all": "string: text\ninteger: -7\nboolean: true\ndate: 2026-11-24\nchoice: two\n"
                    "strings: [a, 'b', \"c\\u00fc\"]\nmapping: {inner: x}\nlist:\n  - {a: b}\n"
                    "  - c: d\nnode: [1, [2, {3: 4}], ~, null, '']\n",
        "good-block": "string: |-\n  one\nstrings:\n  - >-\n    folded\n    text\n",
        "bad-unknown": "strnig: x\n",
        "bad-duplicate": "integer: 1\ninteger: 2\n",
        "bad-anchor": "node: &a [x]\nlist: [*a]\n",
        "bad-merge": "mapping: {<<: {inner: x}}\n",
        "bad-tag": "string: !!str x\n",
        "bad-two-documents": "string: a\n---\nstring: b\n",
        "bad-control": 'string: "a\\e[31m"\n',
        "bad-deep": "node: " + "[" * 17 + "]" * 17 + "\n",
        "bad-date": "date: 2026-02-30\n",
        "bad-list": "- a\n- b\n",
        "bad-utf16": "string: a\n".encode("utf-16"),
    })


def uri_seeds():
    put_all("uri", {
        "good-token": "pkcs11:token=acmeward",
        "good-all": "pkcs11:token=a%20b;serial=1;model=m;manufacturer=x;slot-id=3"
                    "?pin-source=file:/etc/acmeward/pin",
        "good-module": "pkcs11:token=t?module-path=/usr/lib/softhsm/libsofthsm2.so",
        "good-relative-pin": "pkcs11:token=t?pin-source=pin.txt",
        "bad-pin": "pkcs11:token=t?pin-value=1234",
        "bad-object": "pkcs11:token=t;object=key",
        "bad-module": "pkcs11:token=t?module-path=/tmp/evil.so",
        "bad-unknown": "pkcs11:token=t;vendor=1",
        "bad-scheme": "token=t",
        "bad-percent": "pkcs11:token=%zz",
    })


def record(seq, previous, **members):
    value = {"seq": seq, "time": "2026-11-24T02:34:25Z", "kind": "decision"}
    value.update(members)
    value["prev"] = previous
    return compact(value) + "\n"


def log_of(*records):
    previous, text = "0" * 64, ""
    for seq, members in enumerate(records, 1):
        line = record(seq, previous, **members)
        previous = hashlib.sha256(line.encode()).hexdigest()
        text += line
    return text


def audit_seeds():
    digest = hashlib.sha256(b"").hexdigest()
    full = dict(kind="decision", uid=1001, user="myapp1", application="dept_myapp1",
                account="incommon-ov", operation="finalize", verdict="permit", rule="names.exact",
                names=["a.example.edu", "b.example.edu"], policy=digest, input=digest, order=1,
                order_url=BASE + "order/1", url=BASE + "order/1/finalize", url_kind="finalize",
                csr=digest, key=digest, serial="01ff", not_after=1795478400,
                issuer="CN=R1,O=CA", certificate=digest, verified=True, count=3,
                message="ü \u0001")
    kinds = ("start", "stop", "claim", "certificate", "admin", "outcome", "reload", "alarm",
             "issuers", "refusals")
    put_all("audit_record", {
        "good-full": record(3, digest, **full),
        "good-no-newline": record(3, digest)[:-1],
        "bad-order": compact({"time": "2026-11-24T02:34:25Z", "seq": 1, "kind": "start",
                              "prev": digest}),
        "good-unverified": record(1, digest, kind="certificate", verified=False),
        "bad-unknown": record(1, digest, more=1),
        "bad-verified": record(1, digest, verified="true"),
        "bad-verified-zero": record(1, digest, verified=0),
        "bad-certificate": record(1, digest, certificate="01ff"),
        "bad-issuer-order": record(1, digest, verified=True, issuer="CN=R1"),
        "bad-null": record(1, digest, user=None),
        "bad-digest": record(1, digest.upper()),
        "bad-time": record(1, digest, time="2026-02-30T00:00:00Z"),
        "bad-before-1970": record(1, digest, time="1026-11-24T02:34:25Z"),
        "bad-zero": record(0, digest),
        "bad-empty": "",
    })
    for kind in kinds:
        put("audit_record", "good-" + kind, record(1, "0" * 64, kind=kind))
    whole = log_of({"kind": "start"}, full, {"kind": "claim", "url": "u"}, {"kind": "stop"})
    lines = whole.splitlines(keepends=True)
    put_all("audit_log", {
        "good-log": whole,
        "good-torn": whole + lines[1][:100],
        "good-changed-digest": whole.replace("myapp1", "myapp2", 1),
        "good-of-one": lines[0],
        "bad-removed": lines[0] + lines[2],
        "bad-reordered": lines[0] + lines[2] + lines[1],
        "bad-clock": log_of({"time": "2026-11-24T02:34:25Z"}, {"time": "2026-11-23T02:34:25Z"}),
        "bad-line": whole + "{}\n",
        "bad-long": lines[0] + " " * 70000 + "\n",
        "bad-empty": "",
    })


MEMBERS = ("time", "kind", "application", "account", "operation", "verdict", "rule", "names", "order",
           "url", "url_kind", "csr", "key", "serial", "not_after")


def ledger_log(*records):
    """A log of these records, their members in the format's order; None: left out."""
    return log_of(*({name: record[name] for name in MEMBERS if record.get(name) is not None}
                    for record in records))


def damages(*places):
    """(offset, octets) ... as the target reads them: page, place in it, octet."""
    return b"".join(bytes(((at + i) // 4096, (at + i) % 4096 // 256, (at + i) % 256, octet))
                    for at, octets in places for i, octet in enumerate(octets))


def foreign_database(script):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.db")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(script)
        with open(path, "rb") as file:
            return file.read()


def ledger_seeds():
    digest = hashlib.sha256(b"").hexdigest()
    app = dict(application="app", account="account", verdict="permit")
    order = dict(app, operation="new-order", names=["a.example.edu"])
    of_order = dict(app, order=2, url=BASE + "order/1")
    claim = dict(of_order, kind="claim", operation="claim", url_kind="order")
    finalize = dict(of_order, operation="finalize", url=BASE + "order/1/finalize", csr=digest,
                    key=digest)
    poll = dict(of_order, operation="post-as-get")
    certificate = dict(of_order, kind="certificate", operation="record-certificate", key=digest,
                       serial="01ff", not_after=1795478400)
    start = {"kind": "start"}
    whole = ledger_log(start, order, claim, dict(claim, url_kind="finalize", url=finalize["url"]),
                   finalize, poll, certificate, dict(app, operation="revoke", key=digest),
                   dict(order, verdict="refuse", rule="names.none"), dict(order, verdict="warn"),
                   {"kind": "outcome", "operation": "finalize"}, {"kind": "stop"})
    put_all("ledger", {
        "good-log": whole,
        "good-torn": whole[:-20],
        "bad-no-order": ledger_log(start, poll),
        "bad-claim-of-no-order": ledger_log(start, claim),
        "bad-claim-twice": ledger_log(start, order, claim, claim),
        "bad-kind": ledger_log(start, order, dict(claim, url_kind="account")),
        "bad-not-whole": ledger_log(start, order, {**finalize, "csr": None}),
        "bad-operation": ledger_log(start, dict(app, operation="sign")),
        "bad-line": whole + "{}\n",
        # Damages to a good database: none, of its header, of its first page's tree, its length.
        "good-undamaged": b"",
        "bad-magic": damages((0, b"X")),
        "bad-page-size": damages((16, b"\x02\x00")),
        "bad-formats": damages((18, b"\x03\x03")),
        "bad-write-format": damages((18, b"\x03")),
        "bad-page-count": damages((28, b"\xff")),
        "bad-schema-format": damages((44, b"\0\0\0\x09")),
        "bad-encoding": damages((56, b"\0\0\0\2")),
        "bad-version": damages((60, b"\0\0\0\x63")),
        "bad-identity": damages((68, b"\0\0\0\0")),
        "bad-root-page": damages((100, b"\0")),
        "bad-cells": damages((103, b"\xff\xff")),
        "bad-second-page": damages((4096, b"\xff\0\0\xff")),
        "bad-cut": bytes((128,)),
        "bad-emptied": bytes((0,)),
        # Databases of others.
        "bad-foreign": foreign_database("CREATE TABLE t (x); INSERT INTO t VALUES (1);"),
        "bad-view": foreign_database(
            "PRAGMA application_id = 0x61776c67; CREATE VIEW meta AS SELECT 1 AS last_seq,"
            " 1 AS last_time, 'x' AS last_digest, 1 AS id;"),
        "bad-text": "SQLite format 3\0 but no more",
    })
    for version in range(1, 6):
        put("ledger", f"bad-no-tables-{version}", foreign_database(
            f"PRAGMA application_id = 0x61776c67; PRAGMA user_version = {version};"
            "CREATE TABLE meta (id, last_seq, last_time, last_digest);"
            "INSERT INTO meta VALUES (1, 0, 0, '');"))


REKOR = ("AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7n"
         "wZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=")


def note(size, origin="log.example", more="", lines=1):
    root = base64.b64encode(bytes(32)).decode()
    signature = base64.b64encode(bytes(range(12))).decode()
    return f"{origin}\n{size}\n{root}\n{more}\n" + f"\u2014 {origin} {signature}\n" * lines


def mark_seeds():
    root = base64.b64encode(bytes(range(32))).decode()

    def mark(**changes):
        members = {"segment": 2, "first": 4, "last": 11, "octets": 4711,
                   "time": "2026-11-24T02:34:25Z", "head": "0f" * 32, "tree": [root] * 3}
        members.update(changes)
        return compact({k: v for k, v in members.items() if v is not None}) + "\n"

    put_all("audit_mark", {
        "good-mark": mark(),
        "good-first": mark(segment=1, first=1, last=1, tree=[root]),
        "good-large": mark(segment=999999, last=(1 << 53) - 1, tree=[root] * 53),
        "bad-empty": "",
        "bad-no-newline": mark()[:-1],
        "bad-segment": mark(segment=0),
        "bad-segment-large": mark(segment=1000000),
        "bad-back": mark(first=12),
        "bad-octets": mark(octets=0),
        "bad-head": mark(head="0F" * 32),
        "bad-head-short": mark(head="0f" * 31),
        "bad-time": mark(time="2026-11-24"),
        "bad-tree-short": mark(tree=[root] * 2),
        "bad-tree-long": mark(tree=[root] * 4),
        "bad-root": mark(tree=[root, root, root[:-4]]),
        "bad-root-number": mark(tree=[root, root, 1]),
        "bad-missing": mark(time=None),
        "bad-unknown": mark(note="x"),
    })


def checkpoint_seeds():
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(base64.b64decode(REKOR)[1:]).decode()}\n"
    put_all("checkpoint", {
        "good-key": f"rekor.sigstore.dev+c0d23d6a+{REKOR}\n",
        "good-key-pem": pem + "-----END PUBLIC KEY-----\n",
        "good-note": note(20852163),
        "good-note-two-signatures": note(7, lines=2),
        "good-note-empty-tree": note(0),
        "good-stored": note(1) + "\n" + note(1) + "\n" + note(2, lines=3) + "\n",
        "good-stored-torn": note(1) + "\n" + note(2)[:40],
        "bad-key-id": f"rekor.sigstore.dev+00000000+{REKOR}\n",
        "bad-key-type": f"rekor.sigstore.dev+c0d23d6a+{'AQ' + REKOR[2:]}\n",
        "bad-key-nul": f"rekor\0sigstore.dev+c0d23d6a+{REKOR}\n",
        "bad-note-zero": note("01"),
        "bad-note-extension": note(1, more="more\n"),
        "bad-note-origin": note(1, origin="a b"),
        "bad-note-unsigned": note(1, lines=0),
        "bad-stored-back": note(2) + "\n" + note(1) + "\n",
        "bad-empty": "",
    })


def proof_seeds():
    digest = base64.b64encode(bytes(32)).decode()
    line = record(3, "0" * 64, kind="start").rstrip("\n")
    good = {"seq": 3, "record": line, "proof": [digest, digest], "checkpoint": note(4)}
    from_note = {"from": note(3), "proof": [digest] * 3, "checkpoint": note(7)}
    put_all("audit_proof", {
        "good-inclusion": compact(good),
        "good-consistency": compact(from_note),
        "good-long": compact({**good, "proof": [digest] * 64}),
        "good-newline": compact(good) + "\n",
        "bad-too-long": compact({**good, "proof": [digest] * 65}),
        "bad-both": compact({**good, **from_note}),
        "bad-zero": compact({**good, "seq": 0}),
        "bad-hash": compact({**good, "proof": [digest[:-4]]}),
        "bad-unknown": compact({**good, "more": 1}),
        "bad-empty": "",
    })


def acme_seeds():
    directory = {name: BASE + name for name in
                 ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")}
    directory["meta"] = {"termsOfService": "https://ca.example.edu/tos", "website": "https://x/",
                         "externalAccountRequired": True, "profiles": {"classic": "x"}}
    problem = {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "status": 403,
               "detail": "not delegated \u001b[31m", "instance": "https://ca.example.edu/help",
               "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "no",
                                "identifier": DNS}]}
    order = {"status": "valid", "expires": "2026-11-25T00:00:00.5Z", "identifiers": [DNS],
             "authorizations": [BASE + "authz/2", BASE + "authz/1"],
             "finalize": BASE + "finalize/1", "certificate": BASE + "cert/1",
             "profile": "classic"}
    challenge = {"type": "http-01", "status": "pending", "url": BASE + "chall/1",
                 "token": "DGyRejmCefe7v4NfDGDKfA"}
    authorization = {"identifier": DNS, "status": "pending", "wildcard": False, "challenges": [
        challenge, dict(challenge, type="dns-01"), dict(challenge, type="tls-alpn-01"),
        {"type": "sectigo-email-01"}]}
    failed = dict(challenge, status="invalid", error=problem)
    put_all("acme", {
        "good-directory": compact(directory),
        "good-order": compact(order),
        "good-order-invalid": compact(dict(order, status="invalid", error=problem)),
        "good-authorization": compact(authorization),
        "good-authorization-invalid": compact(
            dict(authorization, status="invalid", challenges=[failed])),
        "good-authorization-valid": compact({"identifier": DNS, "status": "valid"}),
        "good-problem": compact(problem),
        "bad-directory-http": compact(dict(directory, newOrder="http://ca.example.edu/x")),
        "bad-order-status": compact(dict(order, status="on-hold")),
        "bad-order-twice": compact(dict(order, identifiers=[DNS, DNS])),
        "bad-token": compact(dict(authorization, challenges=[
            dict(challenge, token="../../etc/passwd")])),
        "bad-wildcard": compact(dict(authorization, identifier={
            "type": "dns", "value": "*.example.edu"})),
        "bad-html": "<html><title>502 Bad Gateway</title></html>",
    })


def http_seeds():
    put_all("http_fields", {
        "good-order": "Content-Type: Application/JSON; charset=utf-8\nReplay-Nonce: oFvnlFP1wIh-_\n"
                      "Location: https://ca.example.edu/acme/order/1\nRetry-After: 5\n"
                      'Link: <https://ca.example.edu/acme/directory>;rel="index"\n',
        "good-links": 'Link: <../a>; title="x, \\"y\\";"; rel=up, </b>;rel="alternate"\n'
                      "link: <https://o.example/c>;REL=alternate\n",
        "good-date": "Retry-After: Fri, 31 Dec 2999 23:59:59 GMT\n",
        "good-relative": "Location: ../order/2?x#y\n",
        "good-problem": "content-type: application/problem+json\nRetry-After: 99999999999\n",
        "bad-two-locations": "Location: https://a/b\nLocation: https://a/c\n",
        "bad-nonce": "Replay-Nonce: a b\n",
        "bad-nothing": "Server: nginx\n",
        "bad-long": "Location: https://ca.example.edu/" + "a" * 2100 + "\n",
    })


def openssl(*arguments, text=None):
    return subprocess.run(["openssl", *arguments], input=text, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def make_csr(folder, names, subject="/", extensions=(), key=EC, digest="-sha256"):
    added = [f"-addext={text}" for text in ([f"subjectAltName={names}"] if names else [])]
    added += [f"-addext={text}" for text in extensions]
    return openssl("req", "-new", "-nodes", *key, digest, "-keyout", f"{folder}/key.pem",
                   "-subj", subject, "-outform", "DER", *added)


def elements(der):
    """(tag, contents) of the elements that follow one another."""
    while der:
        size, begin = der[1], 2
        if size >= 0x80:
            begin += size - 0x80
            size = int.from_bytes(der[2:begin], "big")
        yield der[0], der[begin:begin + size]
        der = der[begin + size:]


def element(tag, contents, long_form=False):
    size = len(contents)
    if size < 0x80 and not long_form:
        return bytes((tag, size)) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return bytes((tag, 0x80 + len(octets))) + octets + contents


def long_length(der, path):
    """BER: the element at `path` with a length in long form, those around it mended."""
    parts = []
    for index, (tag, contents) in enumerate(elements(der)):
        here = index == path[0]
        if here and len(path) > 1:
            contents = long_length(contents, path[1:])
        parts.append(element(tag, contents, long_form=here and len(path) == 1))
    return b"".join(parts)


def csr_seeds():
    with tempfile.TemporaryDirectory() as folder:
        make_csrs(folder)


def make_csrs(folder):
    usual = make_csr(folder, "DNS:a.example.edu,DNS:*.b.example.edu")
    text = base64.encodebytes(usual).decode().replace("\n", "")
    lines = "\n".join(text[i:i + 64] for i in range(0, len(text), 64))
    extensions = ("basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature,keyEncipherment",
                  "extendedKeyUsage=serverAuth,clientAuth", "tlsfeature=status_request")
    put_all("csr", {
        "good-usual": usual,
        "good-pem": f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n"
                    "-----END CERTIFICATE REQUEST-----\n",
        "good-cn": make_csr(folder, "DNS:a.example.edu", "/CN=a.example.edu"),
        "good-extensions": make_csr(folder, "DNS:a.example.edu", extensions=extensions),
        "good-key-identifier": make_csr(folder, "DNS:a.example.edu",
                                        extensions=("subjectKeyIdentifier=hash",)),
        "good-address": make_csr(folder, "DNS:a.example.edu,IP:192.0.2.1,IP:2001:db8::1"),
        "good-p384": make_csr(folder, "DNS:a.example.edu", digest="-sha384", key=(
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")),
        "good-rsa": make_csr(folder, "DNS:a.example.edu", key=("-newkey", "rsa:2048")),
        "bad-no-names": make_csr(folder, ""),
        "bad-cn": make_csr(folder, "DNS:a.example.edu", "/CN=b.example.edu"),
        "bad-organisation": make_csr(folder, "DNS:a.example.edu", "/O=Example"),
        "bad-email": make_csr(folder, "DNS:a.example.edu,email:x@example.edu"),
        "bad-uri": make_csr(folder, "DNS:a.example.edu,URI:https://example.edu"),
        "bad-other": make_csr(folder, "DNS:a.example.edu,otherName:1.2.3;UTF8:x"),
        "bad-ca": make_csr(folder, "DNS:a.example.edu", extensions=("basicConstraints=CA:TRUE",)),
        "bad-ed25519": make_csr(folder, "DNS:a.example.edu", key=("-newkey", "ed25519")),
        "bad-long-length-of-version": long_length(usual, (0, 0, 0)),
        "bad-long-length-of-subject": long_length(usual, (0, 0, 1)),
        "bad-long-length-of-attribute": long_length(usual, (0, 0, 3, 0, 0)),
        "bad-trailing": usual + b"\0",
        "bad-cut": usual[:-1],
    })


def make_root(folder):
    openssl("req", "-x509", "-nodes", *EC, "-keyout", f"{folder}/root.key", "-out",
            f"{folder}/root.pem", "-subj", "/CN=Fuzz Root", "-days", "36500",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
    with open(f"{folder}/root.pem", encoding="ascii") as file:
        return file.read()


def make_leaf(folder, names, more=""):
    with open(f"{folder}/leaf.cnf", "w", encoding="ascii") as file:
        file.write(f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n{more}")
    csr = openssl("req", "-new", "-nodes", *EC, "-keyout", f"{folder}/key.pem", "-subj", "/CN=x")
    return openssl("x509", "-req", "-CA", f"{folder}/root.pem", "-CAkey", f"{folder}/root.key",
                   "-days", "36500", "-extfile", f"{folder}/leaf.cnf", text=csr).decode("ascii")


def der_of(pem):
    return openssl("x509", "-outform", "DER", text=pem.encode())


def expire(pem):
    """Another notAfter; the signature no longer fits, but the dates are looked at first."""
    der = der_of(pem)
    at = der.index(b"\x18\x0f2")  # GeneralizedTime: the year is after 2049
    text = base64.encodebytes(der[:at + 2] + b"2016" + der[at + 6:]).decode("ascii")
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def certificate_seeds():
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(folder)


def make_certificates(folder):
    root = make_root(folder)
    names = "DNS:a.example.edu,DNS:*.b.example.edu,IP:192.0.2.1"
    leaf = make_leaf(folder, names)
    email = make_leaf(folder, "DNS:a.example.edu,email:x@example.edu")
    put_all("certificate", {
        "good-leaf": der_of(leaf),
        "good-root": der_of(root),
        "good-usages": der_of(make_leaf(folder, "DNS:a.example.edu", more=(
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
            "tlsfeature=status_request\nsubjectKeyIdentifier=hash\n"
            "authorityKeyIdentifier=keyid\n"))),
        "bad-email": der_of(email),
        "bad-trailing": der_of(leaf) + b"\0",
        "bad-name": der_of(make_leaf(folder, "DNS:a_b.example.edu")),
        "bad-empty": "",
    })
    put_all("chain", {
        "good-leaf": leaf,
        "good-chain": leaf + root,
        "good-blanks": " \r\n" + leaf.replace("\n", "\r\n") + "\n\n" + root,
        "bad-order": root + leaf,
        "bad-foreign": leaf + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "bad-text": "subject=x\n" + leaf,
        "bad-email": email,
        "bad-other-root": leaf + make_leaf(folder, names),
        "bad-expired": expire(leaf),
        "bad-header": leaf.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1),
        "bad-cut": leaf[:200],
        "bad-empty": "",
    })


SEEDS = {"json": json_seeds, "gate_message": channel_seeds, "request": request_seeds, "evidence": evidence_seeds, "names": name_seeds, "url": url_seeds,
         "b64url": b64url_seeds, "config": config_seeds, "policy": policy_seeds,
         "yaml": yaml_seeds, "uri": uri_seeds, "audit": audit_seeds, "ledger": ledger_seeds,
         "checkpoint": checkpoint_seeds, "audit_mark": mark_seeds, "audit_proof": proof_seeds, "acme": acme_seeds, "http_fields": http_seeds, "csr": csr_seeds,
         "certificate": certificate_seeds, "relay_request": relay_seeds}


def main():
    names = sys.argv[1:] or list(SEEDS)
    unknown = [name for name in names if name not in SEEDS]
    if unknown:
        sys.exit(f"no seeds of {', '.join(unknown)}; there are {', '.join(SEEDS)}")
    for name in names:
        SEEDS[name]()


main()
