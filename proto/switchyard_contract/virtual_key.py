"""The format of keys and the digest both planes compute.

`<kind>_<12 base62 id><32 base62 secret><6 base62 CRC32>`: one length per kind, one alphabet, so that one regular
expression finds a leaked key and the checksum kills false positives before any look-up. 190 random bits need no slow
hash; the digest is HMAC-SHA256 with a pepper that lives outside the database.
"""

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6


class KeyKind(StrEnum):
    """What a credential is for. One kind is refused where another is expected."""

    PERSONAL = "sypat"
    SERVICE = "sysvc"
    ADMIN = "syapi"
    POD = "sypod"
    SCIM = "syscim"


VIRTUAL_KINDS = frozenset({KeyKind.PERSONAL, KeyKind.SERVICE})
KEY_PATTERN = re.compile(
    rf"(?P<kind>{'|'.join(KeyKind)})_"
    rf"(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})[0-9A-Za-z]{{{SECRET_LENGTH}}}(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
"""Finds keys in text; also what redaction looks for."""


@dataclass(frozen=True, slots=True)
class KeyToken:
    """A well-formed key. Its text never shows in a repr."""

    kind: KeyKind
    id: str
    text: str

    def __repr__(self) -> str:
        return f"KeyToken({self.prefix}…)"

    @property
    def prefix(self) -> str:
        """What people may see of a key: kind and the first four characters of its id."""
        return f"{self.kind}_{self.id[:4]}"


def mint(kind: KeyKind) -> KeyToken:
    """Make a new random key."""
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    body = f"{kind}_{key_id}{secret}"
    return KeyToken(kind, key_id, body + _checksum(body))


def read(text: str) -> KeyToken | None:
    """Read a key. None when length, alphabet, kind or checksum is wrong; says nothing about whether it was issued."""
    match = KEY_PATTERN.fullmatch(text)
    if match is None or not hmac.compare_digest(match["checksum"], _checksum(text[:-CHECKSUM_LENGTH])):
        return None
    return KeyToken(KeyKind(match["kind"]), match["id"], text)


def digest(token: KeyToken, pepper: bytes) -> bytes:
    """The 32 bytes that are stored in place of the key."""
    return hmac.digest(pepper, token.text.encode(), sha256)


def bucket_of(key_id: str, buckets: int) -> int:
    """Which key shard holds a key."""
    return zlib.crc32(key_id.encode()) % max(buckets, 1)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
