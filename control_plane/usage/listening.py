"""Who hears that budgets were charged, or had no room, in the transaction that books it. Apps above register: nothing
here imports upward.

A listener may write rows of its own, which then are there if and only if the booking is, and arrange what follows the
commit. It has no part in the booking and must not refuse it.
"""

from collections.abc import Callable, Sequence

from control_plane.usage.refusals import BudgetRefusal
from control_plane.usage.spending import Posted

Listener = Callable[[Sequence[Posted], Sequence[BudgetRefusal]], None]
"""Both at once: who writes rows of both writes them in one order."""

_listeners: list[Listener] = []


def listen_to_spending(listener: Listener) -> None:
    """Hear of charges and refusals from now on; once, however often it is asked for."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_listeners(posted: Sequence[Posted], refused: Sequence[BudgetRefusal]) -> None:
    for listener in _listeners:
        listener(posted, refused)
