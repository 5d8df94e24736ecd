"""How a request is written: as any client would, or with twists of JSON and of bytes.

Some twists change nothing that is meant (blanks, escapes): those must fare as the plain request.
Each takes chance and the text of a message, and gives octets.
"""

import json
import re

STRING = re.compile(r'"((?:dns|ip|https://)?[a-z][a-z0-9.:/-]{3,})"')


def plain(_, text):
    return text.encode()


def blanks(chance, text):
    space = chance.choice((" ", "\n", "\t", "\r\n", "   "))
    return json.dumps(json.loads(text), separators=(space + "," + space, space + ":" + space),
                      ensure_ascii=False).encode("utf-8", "surrogatepass")


def escapes(chance, text):
    """One letter of a string as an escape."""
    found = [match for match in STRING.finditer(text)]
    if not found:
        return text.encode()
    start, end = chance.choice(found).span(1)
    at = chance.randrange(start, end)
    return f"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1:]}".encode()


def member_twice(chance, text):
    """A parameter twice: the other first, or last, or under an escaped name."""
    parameters = json.loads(text)["parameters"]
    if not parameters:
        return text.encode()
    name = chance.choice(sorted(parameters))
    other = chance.choice((parameters[name], [], None, "x", 1, [{"type": "dns", "value": "a.edu"}]))
    key = chance.choice((name, name, f"\\u{ord(name[0]):04x}{name[1:]}"))
    added = f'"{key}":{json.dumps(other)}'
    if chance.random() < 0.5:
        return text.replace('"parameters": {', '"parameters": {' + added + ", ", 1).encode()
    return (text[:-2] + ", " + added + "}}").encode()


def member_more(chance, text):
    message = json.loads(text)
    name, value = chance.choice((
        ("payload", "e30"), ("jws", {}), ("alg", "none"), ("", 1), ("url", "https://ca.example/x"),
        ("identifiers", []), ("protected", "e30"), ("Application", "plain"), ("uid", 0),
        ("notBefore", "2026-11-24T02:34:25Z"), ("profile", "classic"), ("reason", 1)))
    message["parameters"].setdefault(name, value)
    return json.dumps(message).encode()


def member_cased(chance, text):
    message = json.loads(text)
    parameters = message["parameters"]
    if parameters:
        name = chance.choice(sorted(parameters))
        parameters[chance.choice((name.upper(), name.capitalize(), name + " "))] = \
            parameters.pop(name) if chance.random() < 0.5 else parameters[name]
    return json.dumps(message).encode()


def other_type(chance, text):
    message = json.loads(text)
    parameters = message["parameters"]
    if parameters:
        name = chance.choice(sorted(parameters))
        parameters[name] = chance.choice((None, True, 1, -1, 1.5, "", "x", [], {}, [None],
                                          [parameters[name]], {"value": parameters[name]}, 2 ** 63))
    return json.dumps(message).encode()


def number(chance, text):
    """The ticket in another spelling."""
    return re.sub(r'"order": (\d+)', lambda match: '"order": ' + chance.choice((
        "0{}", "{}.0", "{}e0", "-{}", "+{}", '"{}"', "{}0", "{}.5", "0x{}", "{} ")).format(
            match.group(1)), text, count=1).encode()


def envelope(chance, text):
    message = json.loads(text)
    name, value = chance.choice((("more", True), ("oneway", True), ("upgrade", True),
                                 ("more", False), ("continues", True), ("error", "x"),
                                 ("Method", "org.acmeward.Signer.WhoAmI")))
    message[name] = value
    return json.dumps(message).encode()


def method(chance, text):
    return re.sub(r"org\.acmeward\.Signer\.\w+", chance.choice((
        "org.acmeward.Signer.Sign", "org.acmeward.Signer.KeyChange", "org.acmeward.signer.NewOrder",
        "org.acmeward.Admin.NewAccount", "org.acmeward.Admin.Reload", "NewOrder", "",
        "org.acmeward.Signer.Finalize", "org.acmeward.Signer.Revoke",
        "org.acmeward.Signer.PostAsGet", "org.acmeward.Signer.NewOrder",
        "org.varlink.service.GetInfo")), text, count=1).encode()


def octets(chance, text):
    """Octets other than they were; a NUL makes two messages of one."""
    data = bytearray(text.encode())
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(data))
        what = chance.randrange(4)
        if what == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            data[at:at] = chance.choice((b"\0", b"\xc0\xaf", b"\xed\xa0\x80", b"\x1b", b"\\u0000",
                                         b"\\ud800", b'"', b"{", b"}", b",", b"\xef\xbb\xbf"))
        elif what == 2:
            del data[at]
        else:
            data[at] = chance.randrange(256)
    return bytes(data)


def around(chance, text):
    data = text.encode()
    return chance.choice((b"\xef\xbb\xbf" + data, data + b"{}", data + b" ", b"[" + data + b"]",
                          b"[" * 60 + b"]" * 60, data + data, data[:-1], b"null", b"\n" + data))


# True: what is meant does not change.
TWISTS = [(blanks, True), (escapes, True), (member_twice, False), (member_more, False),
          (member_cased, False), (other_type, False), (number, False), (envelope, False),
          (method, False), (octets, False), (around, False)]
