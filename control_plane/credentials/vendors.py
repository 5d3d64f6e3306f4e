"""The table of vendors, from `vendors.toml` beside this file."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

PROTOCOLS = frozenset({"anthropic_messages", "openai_chat", "openai_responses", "openai_embeddings", "gemini_content"})


@dataclass(frozen=True, slots=True)
class Vendor:
    """Somebody who serves models."""

    name: str
    display_name: str
    base_url: str
    """Its public address; empty: each provider states its own."""
    protocols: tuple[str, ...]


@functools.cache
def vendors() -> dict[str, Vendor]:
    """All vendors by name. Raises ValueError when the table names a protocol that does not exist."""
    raw = tomllib.loads(Path(__file__).with_name("vendors.toml").read_text(encoding="utf-8"))
    table = {
        name: Vendor(name, row["display_name"], row["base_url"], tuple(row["protocols"])) for name, row in raw.items()
    }
    for vendor in table.values():
        if unknown := set(vendor.protocols) - PROTOCOLS:
            raise ValueError(f"vendors.toml: {vendor.name} names unknown protocols {sorted(unknown)}")
    return table
