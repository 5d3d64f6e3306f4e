"""What is stored of a token, and how one that is presented is compared with it."""

import hmac
from dataclasses import dataclass, field

from django.conf import settings

from switchyard_contract.virtual_key import KeyKind, KeyToken, digest, mint


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token: its text, to be shown once, and what the database keeps of it."""

    text: str = field(repr=False)
    id: str
    prefix: str
    digest: bytes = field(repr=False)
    pepper_version: int


def issue(kind: KeyKind) -> Issued:
    """Make a token of a kind under the newest pepper."""
    version, pepper = settings.SWITCHYARD.peppers.newest
    token = mint(kind)
    return Issued(token.text, token.id, token.prefix, digest(token, pepper), version)


def is_digest_of(token: KeyToken, stored: bytes | None, pepper_version: int) -> bool:
    """Compare in constant time. stored None: nothing is known, yet the same work is done."""
    peppers = settings.SWITCHYARD.peppers
    pepper = peppers.by_version.get(pepper_version)
    computed = digest(token, peppers.newest[1] if pepper is None else pepper)
    fits = hmac.compare_digest(computed, stored if stored is not None else bytes(len(computed)))
    return fits and stored is not None and pepper is not None
