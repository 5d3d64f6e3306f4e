"""What a notice of the bell is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from control_plane.organizations.roles import Standing


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know, in a sentence. at: when it happens; address: where something is done about it."""

    id: str
    tone: str
    icon: str
    title: str
    text: str
    at: datetime
    address: str
    action: str
    action_address: str
    opens_sheet: bool = True


Source = Callable[[Standing, datetime], Iterator[Notice]]
