"""Collects the channels: every other module of this folder that is not part of the frame must export `CHANNEL`."""

import pkgutil
from functools import cache
from importlib import import_module

from control_plane.alerts import channels
from control_plane.alerts.channels.channel import Channel

FRAME = frozenset({"channel", "catalog"})


class InvalidCatalog(Exception):
    """A channel file exports nothing, the wrong thing, or a type that another file already has."""


@cache
def all_channels() -> dict[str, Channel]:
    """Every channel by its type. Raises InvalidCatalog at the first gap or duplicate."""
    return collect(
        tuple(
            (module.name, getattr(import_module(f"{channels.__name__}.{module.name}"), "CHANNEL", None))
            for module in pkgutil.iter_modules(channels.__path__)
            if module.name not in FRAME
        )
    )


def collect(found: tuple[tuple[str, object], ...]) -> dict[str, Channel]:
    """Check what the files export. found: (file, its CHANNEL or None)."""
    by_type: dict[str, Channel] = {}
    for file, exported in found:
        if not isinstance(exported, Channel):
            raise InvalidCatalog(f"channels/{file}.py exports no CHANNEL")
        if exported.type in by_type:
            raise InvalidCatalog(f"channels/{file}.py: the type {exported.type!r} is taken by another channel")
        by_type[exported.type] = exported
    return dict(sorted(by_type.items()))
