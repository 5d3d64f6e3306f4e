"""Public keys as they are given on the command line."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from switchyard_contract.seal import VerifyKeys

HELP = "public key of the installation: <key id>:<base64>, or a file of such, one a line; may be given again"


class NoSuchKey(ValueError):
    """What was given is no public key."""


def read_public_keys(given: Sequence[str]) -> VerifyKeys:
    """Raises NoSuchKey."""
    keys: dict[str, bytes] = {}
    for text in given:
        path = Path(text)
        try:
            parts = path.read_text(encoding="utf-8").replace(",", "\n").splitlines() if path.is_file() else [text]
        except (OSError, UnicodeDecodeError) as failure:
            raise NoSuchKey(f"{text}: {failure}") from failure
        for part in (part.strip() for part in parts):
            if part and not part.startswith("#"):
                key_id, raw = _read(part)
                keys[key_id] = raw
    try:
        return VerifyKeys(keys)
    except ValueError as failure:
        raise NoSuchKey(f"not an Ed25519 public key: {failure}") from failure


def _read(text: str) -> tuple[str, bytes]:
    key_id, _, encoded = text.partition(":")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not key_id or len(raw) != 32:
        raise NoSuchKey(f"{text[:40]!r} is not <key id>:<base64 of 32 bytes>")
    return key_id, raw
