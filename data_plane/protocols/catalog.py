"""Collects the protocols of this folder once, and refuses gaps and duplicates.

Failure: `InvalidCatalog`.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import data_plane.protocols as folder
from data_plane.protocols.codec import Codec


class InvalidCatalog(Exception):
    """A folder beside this file is no protocol, or calls itself something else."""


def collect() -> Mapping[str, Codec]:
    """Protocol name to codec, from every folder beside this file."""
    found: dict[str, Codec] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.ispkg:
            continue
        codec: Codec | None = getattr(import_module(f"{folder.__name__}.{module.name}"), "CODEC", None)
        if codec is None:
            raise InvalidCatalog(f"data_plane/protocols/{module.name} exports no CODEC")
        if codec.name != module.name:
            raise InvalidCatalog(f"data_plane/protocols/{module.name} calls itself {codec.name!r}")
        found[codec.name] = codec
    return MappingProxyType(found)


CODECS = collect()
