"""What a way to reach people is, and what it is handed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Facts = tuple[str, ...]
Parting = Callable[[], None]
"""What is still to be done once it was written down that a message went out: nothing that it depends on."""


class NotDelivered(Exception):
    """A message did not go out. is_final: no later try can do better. The text is for people, without secrets."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.why, self.is_final = why, is_final


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said, in every form that a channel may need. The same at every try."""

    id: str
    """32 hex digits; the same at every try, so that a receiver can tell a repeat."""
    subject: str
    text: str
    event: str
    """Names the kind of message for machines: budget.stage_crossed, channel.test."""
    at: datetime
    """When it happened."""
    body: dict[str, Any]
    """The same facts for machines; JSON."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where it goes: what the channel's row says, or one person's address."""

    addresses: tuple[str, ...] = ()
    url: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to reach people.

    takes: fields of a channel's row that it needs, besides those that all have. check: raises ValidationError by field.
    deliver: returns as soon as the receiver has taken the message, for it is written down then; what good manners ask
    besides (a goodbye to the mail server) is handed back. Raises NotDelivered; takes `MOST_SECONDS` or so at most.
    """

    type: str
    label: str
    takes: Facts
    check: Callable[[Destination], None]
    deliver: Callable[[Message, Destination], Parting]


MOST_SECONDS = 15


def nothing_more() -> None:
    """The parting of a channel that has none."""
