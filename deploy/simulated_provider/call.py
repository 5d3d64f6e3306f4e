"""A request as it came, and its body without the content coding."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import zstandard

from deploy.simulated_provider.answer import Identity

BODY_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came. headers: lower-case names. body: without its content coding."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    credential: str
    identity: Identity

    @property
    def request_id(self) -> str:
        return f"req_{self.identity.name}"


class UndecodableBody(Exception):
    """The body's content coding is unknown, broken, or hides more than the limit."""


def decode_body(body: bytes, coding: str) -> bytes:
    """Undo the content coding of a request body. Raises UndecodableBody."""
    try:
        match coding.strip().lower():
            case "" | "identity":
                return body
            case "gzip":
                decoded = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, BODY_LIMIT_BYTES)
            case "zstd":
                with zstandard.ZstdDecompressor().stream_reader(body) as reader:
                    decoded = reader.read(BODY_LIMIT_BYTES)
            case other:
                raise UndecodableBody(f"content-encoding {other[:40]!r} is not understood")
    except (zlib.error, zstandard.ZstdError) as failure:
        raise UndecodableBody(f"the body is not valid {coding}") from failure
    if len(decoded) >= BODY_LIMIT_BYTES:
        raise UndecodableBody(f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    return decoded
