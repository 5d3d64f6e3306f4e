"""Who hears of forecasts and of unusual spend, in the transactions that keep them. Apps above register: nothing here
imports upward."""

from collections.abc import Callable, Sequence

from control_plane.forecasts.models import Forecast, UnusualSpend

Listener = Callable[[Sequence[Forecast]], None]
UnusualListener = Callable[[Sequence[UnusualSpend]], None]

_listeners: list[Listener] = []
_unusual_listeners: list[UnusualListener] = []


def listen_to_forecasts(listener: Listener) -> None:
    """Hear of forecasts from now on; once, however often it is asked for."""
    if listener not in _listeners:
        _listeners.append(listener)


def listen_to_unusual_spend(listener: UnusualListener) -> None:
    """Hear of unusual spend from now on, of the same day again and again while it stands."""
    if listener not in _unusual_listeners:
        _unusual_listeners.append(listener)


def tell_listeners(made: Sequence[Forecast]) -> None:
    for listener in _listeners:
        listener(made)


def tell_of_unusual_spend(found: Sequence[UnusualSpend]) -> None:
    for listener in _unusual_listeners:
        listener(found)
