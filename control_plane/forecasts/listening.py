"""Who hears of forecasts, in the transaction that keeps them. Apps above register: nothing here imports upward."""

from collections.abc import Callable, Sequence

from control_plane.forecasts.models import Forecast

Listener = Callable[[Sequence[Forecast]], None]

_listeners: list[Listener] = []


def listen_to_forecasts(listener: Listener) -> None:
    """Hear of forecasts from now on; once, however often it is asked for."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_listeners(made: Sequence[Forecast]) -> None:
    for listener in _listeners:
        listener(made)
