"""Which alert channels an organization has. The app that keeps them lies above this one, so it registers itself."""

from collections.abc import Callable, Collection
from uuid import UUID

ChannelNames = Callable[[UUID], Collection[str]]

_sources: list[ChannelNames] = []


def register_channels(names: ChannelNames) -> None:
    """Say where the names of an organization's channels come from; once, however often it is asked for."""
    if names not in _sources:
        _sources.append(names)


def channel_names(organization_id: UUID) -> frozenset[str] | None:
    """The names there are; None: nobody keeps channels in this installation, so none can be checked."""
    if not _sources:
        return None
    return frozenset(name for source in _sources for name in source(organization_id))
