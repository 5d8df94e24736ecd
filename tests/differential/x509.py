"""CSRs and certificates as asn1crypto reads them: names and keys of what was signed.

asn1crypto is Python all through and knows nothing of OpenSSL. Names are taken as octets, before it
decodes them. A CSR must be no more than the grammar of csr/csr.h says and DER to the octet.
"""

import hashlib
import ipaddress
import re

from asn1crypto import core, csr, x509

SUBJECT_ALT_NAME = "2.5.29.17"
KEY_IDENTIFIER = "2.5.29.14"
EXTENSIONS = {  # each with the DER values that it may have; None: looked at apart
    SUBJECT_ALT_NAME: None,
    "2.5.29.19": ("3000",),                                     # basicConstraints CA:FALSE
    "2.5.29.15": ("03020780", "03020520", "030205a0"),          # keyUsage
    "2.5.29.37": ("300a06082b06010505070301", "300a06082b06010505070302",
                  "301406082b0601050507030106082b06010505070302",
                  "301406082b0601050507030206082b06010505070301"),
    "1.3.6.1.5.5.7.1.24": ("3003020105",),                      # TLS feature status_request
    KEY_IDENTIFIER: None,
}
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
CURVES = {"secp256r1": ("ec-p256", 65), "secp384r1": ("ec-p384", 97)}
SIGNATURES = {"sha256_ecdsa", "sha384_ecdsa", "sha512_ecdsa", "sha256_rsa", "sha384_rsa",
              "sha512_rsa"}


class Wrong(AssertionError):
    """Something was signed that should not have been."""


def need(condition, what):
    if not condition:
        raise Wrong(what)


def is_a_label(label):
    if not label.startswith("xn--"):
        return label[2:4] != "--"
    try:
        text = label[4:].encode("ascii").decode("punycode")
        return not text.isascii() and text.encode("punycode").decode("ascii") == label[4:]
    except UnicodeError:
        return False


def check_name(name):
    """A name in the form in which it is signed: an address, or A-labels in lower case."""
    if ":" in name or re.fullmatch(r"[0-9.]+", name):
        need(str(ipaddress.ip_address(name)) == name, f"{name!r} is no canonical address")
        return
    need(len(name) <= 253, f"{name!r} is too long")
    labels = name.split(".")
    if labels[0] == "*":
        labels = labels[1:]
    need(len(labels) >= 2, f"{name!r} has too few labels")
    need(all(LABEL.fullmatch(label) and is_a_label(label) for label in labels),
         f"{name!r} is no host name")
    need(not labels[-1].isdigit(), f"{name!r} ends in a number")


def names_of(general_names):
    names = []
    for entry in general_names:
        octets = entry.chosen.contents
        need(entry.name in ("dns_name", "ip_address"), f"subjectAltName holds a {entry.name}")
        if entry.name == "ip_address":
            need(len(octets) in (4, 16), "an address of another length")
        name = (octets.decode("ascii") if entry.name == "dns_name"
                else str(ipaddress.ip_address(octets)))
        check_name(name)
        names.append(name)
    need(len(set(names)) == len(names), "a name twice")
    return names


def key_type(info):
    if info.algorithm == "ec":
        kind, named = info.curve
        need(kind == "named" and named in CURVES, "another curve")
        text, size = CURVES[named]
        point = bytes(info["public_key"].native)
        need(len(point) == size and point[0] == 4, "a point in another form")
        return text
    need(info.algorithm == "rsa", f"a key of type {info.algorithm}")
    key = info["public_key"].parsed
    need(key["public_exponent"].native == 65537, "another RSA exponent")
    bits = key["modulus"].native.bit_length()
    need(bits in (2048, 3072, 4096), f"an RSA key of {bits} bits")
    return f"rsa-{bits}"


class Csr:
    """names, key (its type), key_digest, digest."""

    def __init__(self, der):
        request = csr.CertificationRequest.load(der, strict=True)
        walk = request.native   # everything is parsed, so that all of it is written anew below
        need(walk is not None and request.dump(force=True) == der, "the CSR is not DER")
        info = request["certification_request_info"]
        need(info["version"].native == "v1", "another version of CSR")
        need(request["signature_algorithm"]["algorithm"].native in SIGNATURES,
             "another signature algorithm")
        self.names = names_of(self.extensions(info["attributes"]))
        need(self.names, "a CSR without names")
        self.check_subject(info["subject"].chosen)
        key = info["subject_pk_info"]
        need(self.identifier in (None, b"\x04\x14" + hashlib.sha1(
            bytes(key["public_key"].contents[1:])).digest()), "the identifier of another key")
        self.key = key_type(key)
        self.key_digest = hashlib.sha256(key.dump()).hexdigest()
        self.digest = hashlib.sha256(der).hexdigest()

    def extensions(self, attributes):
        """Checks the one attribute; gives the subjectAltName."""
        need(len(attributes) == 1, "not one attribute")
        need(attributes[0]["type"].native == "extension_request", "another attribute")
        need(len(attributes[0]["values"]) == 1, "not one value")
        seen = {}
        for extension in attributes[0]["values"][0]:
            oid = extension["extn_id"].dotted
            need(oid in EXTENSIONS, f"the extension {oid}")
            need(oid not in seen, f"the extension {oid} twice")
            seen[oid] = extension
            value = extension["extn_value"].contents
            need(EXTENSIONS[oid] is None or value.hex() in EXTENSIONS[oid],
                 f"the extension {oid} with the value {value.hex()}")
        need(SUBJECT_ALT_NAME in seen, "no subjectAltName")
        self.identifier = (seen[KEY_IDENTIFIER]["extn_value"].contents
                           if KEY_IDENTIFIER in seen else None)
        return x509.GeneralNames.load(seen[SUBJECT_ALT_NAME]["extn_value"].contents, strict=True)

    def check_subject(self, subject):
        parts = [part for relative in subject for part in relative]
        need(len(subject) == len(parts) <= 1, "more than one part in the subject")
        for part in parts:
            need(part["type"].dotted == "2.5.4.3", "another attribute than CN in the subject")
            need(part["value"].chosen.contents.decode("ascii") in (*self.names, ""),
                 "the common name is none of the names")


class Certificate:
    """names, key_digest, serial."""

    def __init__(self, der):
        certificate = x509.Certificate.load(der, strict=True)
        body = certificate["tbs_certificate"]
        self.serial = body["serial_number"].native
        self.key_digest = hashlib.sha256(body["subject_public_key_info"].dump()).hexdigest()
        self.names = names_of(certificate.subject_alt_name_value or [])


def serial_of(replaces):
    """The serial number in an ARI identifier (RFC 9773 4.1)."""
    return core.Integer(contents=replaces).native
