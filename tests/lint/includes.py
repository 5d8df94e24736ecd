#!/usr/bin/python3
"""lint.includes ROOT: includes point down the layers, and each library is seen where it belongs."""

import os
import re
import sys

import tree

# Layer: what it may include besides itself. tests may include anything.
MAY_INCLUDE = {
    "common": (),
    "policy": ("common",),
    "pkcs11": ("common",),
    "audit": ("common",),
    "csr": ("common",),
    "jose": ("common",),
    "hostkey": ("common",),
    "signer": ("policy", "pkcs11", "audit", "csr", "jose", "common"),
    "client": ("csr", "hostkey", "common"),
    "admin": ("client", "policy", "audit", "csr", "common"),
    "relay": ("client", "jose", "csr", "hostkey", "common"),
    "softhsm-fixtures": ("common",),
}

# System header: the folders that may see it; tests may see everything.
LIBRARIES = (
    (r"libp11\.h", ("pkcs11", "softhsm-fixtures")),
    (r"p11-kit/.*|pkcs11.*", ("pkcs11", "hostkey", "softhsm-fixtures")),
    (r"curl/.*", ("client",)),
    (r"yaml\.h", ("common",)),
    (r"idn2\.h", ("common",)),
    (r"libpsl\.h", ("policy",)),
    (r"sqlite3\.h", ("common",)),
    (r"seccomp\.h", ("common",)),
    (r"event2?/.*|event\.h", ("client", "relay")),
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>|(\S.*))', re.MULTILINE)


def fault_of_own(root, name, target):
    """What is wrong with #include "target" in that file; None: nothing."""
    layer = name.split("/", 1)[0]
    folder = target.split("/", 1)[0]
    if layer == "tests" and os.path.isfile(os.path.join(root, os.path.dirname(name), target)):
        return None  # a test's own helpers lie beside it
    if "/" not in target or not os.path.isfile(os.path.join(root, target)):
        return f'"{target}" is no path from the root folder'
    if layer == "tests" or folder == layer or folder in MAY_INCLUDE[layer]:
        return None
    allowed = ", ".join((layer,) + MAY_INCLUDE[layer])
    return f'{layer}/ includes "{target}"; it may include {allowed}'


def fault_of_system(layer, target):
    for pattern, folders in LIBRARIES:
        if re.fullmatch(pattern, target) and layer not in folders + ("tests",):
            return f"<{target}> may be included in {', '.join(folders)} only"
    return None


def findings_of(root, name):
    layer = name.split("/", 1)[0]
    text = tree.read(root, name)
    for match in INCLUDE.finditer(text):
        own, system, other = match.groups()
        if other:
            fault = f"#include {other} is neither \"...\" nor <...>"
        elif own:
            fault = fault_of_own(root, name, own)
        else:
            fault = fault_of_system(layer, system)
        if fault:
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {fault}"


def main():
    root = tree.root_of(sys.argv)
    names = tree.sources(root)
    tree.finish([finding for name in names for finding in findings_of(root, name)], len(names))


main()
