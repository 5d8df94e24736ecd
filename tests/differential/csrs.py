"""CSRs and certificates for hostile requests: right ones, and each wrong in some way.

They are written octet by octet, since no library would write what a hostile client sends. Keys on
curves follow from the seed; signatures do not, and RSA keys are new in every run.
"""

import functools
import hashlib
import ipaddress
import random

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

CURVES = {"ec-p256": ec.SECP256R1(), "ec-p384": ec.SECP384R1(), "k256": ec.SECP256K1(),
          "ec-p521": ec.SECP521R1()}
SHA = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
       "sha1": hashes.SHA1()}
EC_SIGNATURE = {"sha256": "06082a8648ce3d040302", "sha384": "06082a8648ce3d040303",
                "sha512": "06082a8648ce3d040304", "sha1": "06072a8648ce3d0401"}
RSA_SIGNATURE = {"sha256": "06092a864886f70d01010b0500", "sha384": "06092a864886f70d01010c0500",
                 "sha512": "06092a864886f70d01010d0500", "sha1": "06092a864886f70d0101050500"}
EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
CHALLENGE_PASSWORD = bytes.fromhex("300f06092a864886f70d010907310213 00".replace(" ", ""))
COMMON_NAME = bytes.fromhex("0603550403")
ORGANISATION = bytes.fromhex("060355040a")
SAN = bytes.fromhex("0603551d11")
KEY_IDENTIFIER = bytes.fromhex("0603551d0e")
HARMLESS = [bytes.fromhex(text) for text in (
    "30090603551d1304023000", "300b0603551d0f0404030205a0",
    "30130603551d25040c300a06082b06010505070301", "301106082b060105050701180405" + "3003020105")]
HARMFUL = [bytes.fromhex(text) for text in (
    "300c0603551d13040530030101ff",                     # CA:TRUE
    "300b0603551d0f040403020204",                       # keyCertSign
    "30130603551d25040c300a06082b06010505070303",       # codeSigning
    "30100603551d250409300706" + "03551d2500",          # anyExtendedKeyUsage, cut
    "300a06032a0304040304010 0".replace(" ", ""),        # unknown
    "30120603551d1e010 1ff0408300 6a004300282 00".replace(" ", ""))]  # nameConstraints


def tlv(tag, *parts):
    contents = b"".join(parts)
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


class Key:
    def __init__(self, private, kind):
        self.private, self.kind = private, kind
        self.info = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data, digest):
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        if self.kind.startswith("rsa"):
            return self.private.sign(data, padding.PKCS1v15(), SHA[digest])
        return self.private.sign(data, ec.ECDSA(SHA[digest]))

    def algorithm(self, digest):
        table = RSA_SIGNATURE if self.kind.startswith("rsa") else EC_SIGNATURE
        return tlv(0x30, bytes.fromhex(table[digest]))


@functools.lru_cache(maxsize=20000)
def curve_key(text, kind="ec-p256"):
    """The key that belongs to a text."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") >> 1
    return Key(ec.derive_private_key(number, CURVES[kind]), kind)


@functools.lru_cache(maxsize=None)
def odd_key(kind):
    """Keys of types and sizes that are refused, or seldom."""
    if kind == "ed25519":
        return Key(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x05" * 32), kind)
    if kind.startswith("rsa"):
        exponent = 3 if kind == "rsa-3" else 65537
        bits = {"rsa-3": 2048}.get(kind) or int(kind[4:])
        return Key(rsa.generate_private_key(exponent, bits), kind)
    return curve_key("odd", kind)


def general_name(name):
    """A subjectAltName's entry; text as it is, (tag, octets) for other kinds."""
    if isinstance(name, tuple):
        return tlv(*name)
    try:
        return tlv(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return tlv(0x82, name.encode())


def san(names, critical=b""):
    return tlv(0x30, SAN, critical, tlv(4, tlv(0x30, *map(general_name, names))))


def relative_name(kind, text, tag=0x0c):
    return tlv(0x31, tlv(0x30, kind, tlv(tag, text)))


class Parts:
    """What a CSR is made of; wrong ones change a member before it is written."""

    def __init__(self, key, names):
        self.key, self.names = key, list(names)
        self.version, self.subject = 0, []
        self.extensions = [san(self.names)] if names else []
        self.attributes = None      # None: extensionRequest with the extensions
        self.digest = "sha256"
        self.signer = key
        self.info = key.info

    def rename(self, names):
        self.names = list(names)
        self.extensions = [san(self.names)]

    def request(self, extensions):
        return tlv(0x30, EXTENSION_REQUEST, tlv(0x31, tlv(0x30, *extensions)))

    def write(self):
        attributes = self.attributes
        if attributes is None:
            attributes = [self.request(self.extensions)]
        info = tlv(0x30, integer(self.version), tlv(0x30, *self.subject), self.info,
                   tlv(0xa0, *attributes))
        digest = self.digest
        return tlv(0x30, info, self.key.algorithm(digest),
                   tlv(3, b"\0", self.signer.sign(info, digest)))


# Twists: each takes chance, parts and names of others.

def subject_right(chance, parts, _):
    parts.subject = [relative_name(COMMON_NAME, parts.names[0].encode(), chance.choice((12, 19)))]


def subject_of_other(chance, parts, others):
    parts.subject = [relative_name(COMMON_NAME, chance.choice(others).encode())]


def subject_twice(_, parts, others):
    parts.subject = [relative_name(COMMON_NAME, name.encode())
                     for name in (parts.names[0], others[0])]


def subject_odd(chance, parts, others):
    name = parts.names[0].encode()
    parts.subject = [chance.choice((
        relative_name(ORGANISATION, b"Example"), relative_name(COMMON_NAME, name.upper()),
        relative_name(COMMON_NAME, name + b"\0." + others[0].encode()),
        relative_name(COMMON_NAME, name, 0x1e), tlv(0x31),
        relative_name(COMMON_NAME, "".join(parts.names).encode())))]


def version_odd(chance, parts, _):
    parts.version = chance.choice((1, 2, 255))


def attributes_odd(chance, parts, others):
    right = parts.request(parts.extensions)
    wrong = parts.request([san(others[:1])])
    two = tlv(0x30, EXTENSION_REQUEST, tlv(0x31, tlv(0x30, *parts.extensions),
                                           tlv(0x30, san(others[:1]))))
    parts.attributes = chance.choice((
        [], [right, wrong], [wrong, right], [right, CHALLENGE_PASSWORD], [two],
        [tlv(0x30, bytes.fromhex("060a2b060104018237020 10e".replace(" ", "")),
             tlv(0x31, tlv(0x30, *parts.extensions)))]))


def key_identifier(key):
    """As RFC 5280 4.2.1.2 has it: SHA-1 of the BIT STRING of the key."""
    point = key.private.public_key().public_bytes(
        *((serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
          if key.kind.startswith("rsa") else
          (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)))
    return tlv(0x30, KEY_IDENTIFIER, tlv(4, tlv(4, hashlib.sha1(point).digest())))


def extensions_right(chance, parts, _):
    harmless = [*HARMLESS, key_identifier(parts.key)]
    parts.extensions += chance.sample(harmless, chance.randint(1, len(harmless)))
    chance.shuffle(parts.extensions)


def extensions_odd(chance, parts, others):
    other = key_identifier(curve_key("another"))
    parts.extensions += [chance.choice(HARMFUL + [other, san(others[:1]), HARMLESS[0] + HARMLESS[0]])]


def san_critical(_, parts, __):
    parts.extensions = [san(parts.names, bytes.fromhex("0101ff"))]


def san_other_kinds(chance, parts, others):
    parts.rename(parts.names + [chance.choice((
        (0x81, b"x@example.edu"), (0x86, b"https://example.edu/"), (0x88, b"\x2a\x03\x04"),
        (0xa4, tlv(0x30)), (0xa0, b"\x06\x03\x2a\x03\x04\xa0\x02\x0c\0"), (0x87, b"\x7f\0\0"),
        (0x87, b"\xc0\0\2\x10\xff\xff\xff\0"), (0x82, others[0].encode() + b"\0.x.edu"),
        (0x82, b""), (0xa2, others[0].encode()), (0xa3, b""), (0xa5, b"")))])


def san_spelling(chance, parts, _):
    at = chance.randrange(len(parts.names))
    name = parts.names[at]
    parts.names[at] = chance.choice((
        name.upper(), name + ".", " " + name, "*." + name, name.replace(".", "..", 1),
        name.replace("e", "\u0435", 1), "b\u00fccher." + name, name.replace("-", "_", 1) + "_",
        name.replace(".", "\u3002", 1), name + "\n"))
    parts.rename(parts.names)


def names_more(chance, parts, others):
    parts.rename(parts.names + [chance.choice(others)])


def names_fewer(_, parts, others):
    parts.rename(parts.names[1:] or others[:1])


def names_other(chance, parts, others):
    parts.rename(parts.names[1:] + [chance.choice(others)])


def names_twice(_, parts, __):
    parts.rename(parts.names + parts.names[:1])


def names_shuffled(chance, parts, _):
    chance.shuffle(parts.names)
    parts.rename(parts.names)


def key_odd(chance, parts, _):
    key = odd_key(chance.choice(("k256", "ec-p521", "rsa-1024", "rsa-2047", "rsa-3", "rsa-2048",
                                 "ec-p384")))
    parts.key = parts.signer = key
    parts.info = key.info


def key_edwards(_, parts, __):
    parts.info, parts.signer = odd_key("ed25519").info, odd_key("ed25519")


def key_point(chance, parts, _):
    info = bytearray(parts.info)
    if chance.random() < 0.5:
        info[-1 - chance.randrange(60)] ^= 1 << chance.randrange(8)
    else:
        compressed = parts.key.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint) \
            if parts.key.kind.startswith("ec") else b"\2"
        info = tlv(0x30, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),
                   tlv(3, b"\0", compressed))
    parts.info = bytes(info)


def signature_odd(chance, parts, _):
    what = chance.randrange(3)
    if what == 0:
        parts.digest = "sha1"
    else:
        parts.signer = curve_key("somebody else") if what == 1 else odd_key("rsa-2048")


def digest_other(chance, parts, _):
    parts.digest = chance.choice(("sha384", "sha512"))


# Most twists are wrong, some are right: what is right must be signed.
TWISTS = [subject_right, subject_right, subject_of_other, subject_twice, subject_odd, version_odd,
          attributes_odd, attributes_odd, extensions_right, extensions_right, extensions_odd,
          extensions_odd, san_critical, san_other_kinds, san_other_kinds, san_spelling,
          san_spelling, names_more, names_more, names_fewer, names_other, names_twice,
          names_shuffled, key_odd, key_edwards, key_point, signature_odd, digest_other]


def damage(chance, der):
    """DER with some octets other than they were."""
    # Signatures differ in length from run to run: what follows must not hang on that.
    chance = random.Random(chance.getrandbits(64))
    octets = bytearray(der)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(octets))
        what = chance.randrange(5)
        if what < 2:
            octets[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            octets[at] = chance.randrange(256)
        elif what == 3:
            octets[at:at] = chance.randbytes(chance.randint(1, 3))
        else:
            del octets[at:at + chance.randint(1, 3)]
    return bytes(octets) + chance.choice((b"", b"", b"", b"\0", der))


def long_lengths(chance, der):
    """BER: the outermost length in a longer form, or of indefinite form."""
    body = der[2 + (der[1] & 0x7f if der[1] > 0x7f else 0):]
    if chance.random() < 0.5:
        return b"\x30\x80" + body + b"\0\0"
    return b"\x30\x84" + len(body).to_bytes(4, "big") + body


# Certificates.

ISSUER = tlv(0x30, relative_name(COMMON_NAME, b"A CA"))
VALIDITY = tlv(0x30, tlv(0x17, b"260101000000Z"), tlv(0x17, b"290101000000Z"))
AUTHORITY = b"\x11" * 20


def certificate(key, names, serial):
    """One as a CA would issue it, signed by a key that nobody looks at here."""
    algorithm = tlv(0x30, bytes.fromhex(EC_SIGNATURE["sha256"]))
    authority = tlv(0x30, bytes.fromhex("0603551d23"), tlv(4, tlv(0x30, tlv(0x80, AUTHORITY))))
    body = tlv(0x30, bytes.fromhex("a003020102"), integer(serial), algorithm, ISSUER, VALIDITY,
               tlv(0x30), key.info, tlv(0xa3, tlv(0x30, san(names), authority)))
    return tlv(0x30, body, algorithm, tlv(3, b"\0", curve_key("the CA").sign(body, "sha256")))
