"""The shape of a vendor.

Failure: `NotSpoken`, a protocol that the vendor has no path for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlsplit

RawHeaders = tuple[tuple[bytes, bytes], ...]

_VERSION_SEGMENT = re.compile(r"v\d+(?:alpha|beta)?\d*")
# A slash in a model name is part of the name ("publisher/model") where the path takes several segments; Gemini's
# does not, so it is encoded there. Dots, colons, at-signs and commas are fine in a segment.
_SAFE_IN_SEGMENT = ":@,~+!$&'()*=;"


class NotSpoken(ValueError):
    """The vendor does not speak this protocol."""

    def __init__(self, vendor: str, protocol: str) -> None:
        super().__init__(f"{vendor} does not speak {protocol}")
        self.vendor, self.protocol = vendor, protocol


class Credential(Enum):
    """How a secret is shown."""

    BEARER = b"authorization"
    X_API_KEY = b"x-api-key"
    X_GOOG_API_KEY = b"x-goog-api-key"

    def header(self, secret: str) -> tuple[bytes, bytes]:
        text = secret.encode()
        return (self.value, b"Bearer " + text if self is Credential.BEARER else text)


class Origin(NamedTuple):
    """Where to connect."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = (self.scheme == "https" and self.port == 443) or (self.scheme == "http" and self.port == 80)
        return host if standard else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor. Everything here is data; a vendor that needs more overrides in its own file."""

    vendor: str
    title: str
    """As people write it."""
    address: str
    """The public address; empty: each account must say its own."""
    credentials: Mapping[str, Credential]
    """Protocols spoken, each with how it wants the credential."""
    bearer_prefixes: tuple[str, ...] = field(default=())
    """Secrets that begin so are shown as a bearer whatever the protocol says."""

    @property
    def protocols(self) -> frozenset[str]:
        return frozenset(self.credentials)

    def credential_headers(self, protocol: str, secret: str) -> RawHeaders:
        """The headers that carry the account's secret; none for an empty one (an open server on premises)."""
        if not secret:
            return ()
        way = self.credentials.get(protocol, Credential.BEARER)
        if self.bearer_prefixes and secret.startswith(self.bearer_prefixes):
            way = Credential.BEARER
        return (way.header(secret),)

    def target(self, base_url: str, protocol: str, path: str, query: str, model: str) -> tuple[Origin, str]:
        """Join an account's address and a canonical path to where to connect and what to ask for there.

        path: as protocols/paths.py writes it, with `{model}` where the model goes. A version at the end of base_url
        takes the place of the path's own, so that addresses with and without /v1 both work.
        Raises NotSpoken when nobody says where the vendor is, ValueError for an address without a
        host.
        """
        if not base_url and not self.address:
            raise NotSpoken(self.vendor, protocol)
        origin, target = _join(base_url or self.address, path)
        if "{model}" in path:
            target = target.replace("{model}", quote_model(model))
        passed = without_key(query)
        return origin, f"{target}?{passed}" if passed else target


@lru_cache(maxsize=1024)
def _join(address: str, path: str) -> tuple[Origin, str]:
    parts = urlsplit(address)
    if not parts.hostname:
        raise ValueError(f"the address {address!r} has no host")
    origin = Origin(parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    return origin, join_path(parts.path, path)


def without_key(query: str) -> str:
    """The query as it came, without a `key` parameter: it carries the caller's key, never the account's."""
    if "key" not in query.lower() and "%" not in query:
        return query
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]).lower() != "key")


def join_path(prefix: str, path: str) -> str:
    """Append a canonical path (/v1/...) to an address's own path, with one version between them."""
    segments = [segment for segment in prefix.split("/") if segment]
    rest = path.removeprefix("/")
    version = next((at for at, segment in enumerate(segments) if _VERSION_SEGMENT.fullmatch(segment)), None)
    if version is not None and segments[version + 1 :] in ([], ["openai"]):
        rest = rest.partition("/")[2]
    return "/" + "/".join([*segments, rest])


def quote_model(model: str) -> str:
    """Write a model name as one path segment."""
    return quote(model, safe=_SAFE_IN_SEGMENT)
