"""Collects the vendors of this folder once, and refuses gaps and duplicates.

Failure: `InvalidCatalog`.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import data_plane.providers as folder
from data_plane.providers.provider import Provider

_NOT_VENDORS = frozenset({"provider", "catalog"})


class InvalidCatalog(Exception):
    """A file of this folder is no vendor, or two are the same one."""


def collect() -> Mapping[str, Provider]:
    """Vendor name to provider, from every file beside this one."""
    found: dict[str, Provider] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if module.name in _NOT_VENDORS:
            continue
        provider = getattr(import_module(f"{folder.__name__}.{module.name}"), "PROVIDER", None)
        if not isinstance(provider, Provider):
            raise InvalidCatalog(f"data_plane/providers/{module.name}.py exports no PROVIDER")
        if provider.vendor != module.name:
            raise InvalidCatalog(f"data_plane/providers/{module.name}.py calls itself {provider.vendor!r}")
        found[provider.vendor] = provider
    return MappingProxyType(found)


PROVIDERS = collect()
VENDOR_PROTOCOLS: Mapping[str, frozenset[str]] = MappingProxyType(
    {vendor: provider.protocols for vendor, provider in PROVIDERS.items()}
)
"""For policy.from_proto.read_policy: what an account speaks that does not say so itself."""
