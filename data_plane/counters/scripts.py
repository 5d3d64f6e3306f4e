"""The scripts as the store runs them, and the name it gives to each."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Script:
    text: bytes
    sha: bytes
    """40 hex digits."""


def _read(name: str) -> Script:
    lines = [line for part in ("opening", name) for line in (_FOLDER / f"{part}.lua").read_bytes().splitlines()]
    # Without its comments: who has not shown a password yet, or a wrong one, may send no more than 16 KB at once.
    text = b"\n".join(line.strip() for line in lines if line.strip() and not line.lstrip().startswith(b"--"))
    # Valkey names scripts by SHA-1; nothing is protected by it.
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


RESERVE, SETTLE, EXTEND, RENEW, FLOOR = (_read(name) for name in ("reserve", "settle", "extend", "renew", "floor"))
SCRIPTS = (RESERVE, SETTLE, EXTEND, RENEW, FLOOR)
