"""Who hears of every change, in the transaction that makes it. Apps above register: nothing here imports upward.

A listener may remember and arrange what follows the commit; it has no part in the change and must not refuse it.
"""

from collections.abc import Callable

from control_plane.audit.models import Change

Listener = Callable[[Change], None]

_listeners: list[Listener] = []


def listen_to_changes(listener: Listener) -> None:
    """Hear of changes from now on; once, however often it is asked for."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_listeners(change: Change) -> None:
    for listener in _listeners:
        listener(change)
