"""What an identity provider says about a person, whichever protocol it said it in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_GROUPS = 2_000
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Claims:
    """Verified statements about one person.

    email: lower case, empty when none was sent. is_email_verified None: the provider says nothing about it.
    groups None: the provider could not say (too many to send), which is not the same as none.
    authenticated_s: when the person last proved who they are over there, in Unix seconds; None: it does not say.
    """

    subject: str
    email: str = ""
    is_email_verified: bool | None = None
    name: str = ""
    groups: frozenset[str] | None = frozenset()
    authenticated_s: int | None = None

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]


def text_of(value: Any) -> str:
    """A claim as text; lists give their first, everything else nothing."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def email_of(value: Any) -> str:
    """A claim as an e-mail in lower case; empty when it is none."""
    text = text_of(value).lower()
    local, at, domain = text.rpartition("@")
    return text if at and local and domain and not any(char.isspace() for char in text) else ""


def groups_of(value: Any) -> frozenset[str]:
    """A claim as names of groups: a list of text, or a single one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return frozenset()
    return frozenset(text for text in (text_of(each) for each in value[:MAX_GROUPS]) if text)


def first_of(claims: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of several claims that says something."""
    return next((claims[name] for name in names if claims.get(name)), None)
