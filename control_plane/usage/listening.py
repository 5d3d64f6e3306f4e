"""Who hears that budgets were charged, or had no room, or that a past window was repriced, in the transaction that
books it. Apps above register: nothing
here imports upward.

A listener may write rows of its own, which then are there if and only if the booking is, and arrange what follows the
commit. It has no part in the booking and must not refuse it.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from control_plane.usage.refusals import BudgetRefusal
from control_plane.usage.spending import Posted

Listener = Callable[[Sequence[Posted], Sequence[BudgetRefusal]], None]
"""Both at once: who writes rows of both writes them in one order."""

RepricingListener = Callable[[UUID], None]
"""Called with the organization."""

_listeners: list[Listener] = []
_repricing_listeners: list[RepricingListener] = []


def listen_to_spending(listener: Listener) -> None:
    """Hear of charges and refusals from now on; once, however often it is asked for."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_listeners(posted: Sequence[Posted], refused: Sequence[BudgetRefusal]) -> None:
    for listener in _listeners:
        listener(posted, refused)


def listen_to_repricing(listener: RepricingListener) -> None:
    """Hear of repriced windows as the last of their rows are booked; once, however often it is asked for."""
    if listener not in _repricing_listeners:
        _repricing_listeners.append(listener)


def tell_of_repricing(organization_id: UUID) -> None:
    for listener in _repricing_listeners:
        listener(organization_id)
