"""The request's body: taken up to a limit, inflated within bounds.

A compressed body may grow only so far: 20 to 1 past the first MiB, and never past the limit, so that a kilobyte cannot
become a gigabyte here.
"""

import asyncio
import zlib
from dataclasses import dataclass

import zstandard
from aiohttp import StreamReader, web

from data_plane.exchange.ports import BodyRefused, ClientGone
from data_plane.exchange.stages import Buffer

_MIB = 1024 * 1024
_MAX_RATIO = 20
_STEP = 256 * 1024
_PACKED_STEP = 256
"""Fed to zstd at once. A block of 4 bytes may stand for 128 KiB, so this bounds what one step can give to 8 MiB."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a body may come: so many bytes a second, once a time of grace is over."""

    grace_s: float = 10.0
    bytes_per_s: int = 1024

    def time_for(self, size: int) -> float:
        """How long so much of a body may take."""
        return self.grace_s + size / self.bytes_per_s


PACE = Pace()


async def read_body(request: web.BaseRequest, encoding: bytes, limit_bytes: int, pace: Pace = PACE) -> Buffer:
    """Take the whole body.

    Raises BodyRefused when it is too large, too slow or does not inflate, ClientGone when it stops.
    """
    declared = request.content_length
    if declared is not None and declared > limit_bytes:
        raise BodyRefused(too_large=True, why=f"The body is {declared} bytes; the limit here is {limit_bytes}.")
    content = request.content
    chunks: list[bytes] = []
    size = 0
    began_s = asyncio.get_running_loop().time()
    try:
        while not content.at_eof():
            # A short body came in the same segment as its head; asking for it must not cost a coroutine.
            chunk = content.read_nowait() if content.is_eof() else await _next_chunk(content, began_s, size, pace)
            size += len(chunk)
            if size > limit_bytes:
                raise BodyRefused(too_large=True, why=f"The body is larger than the limit of {limit_bytes} bytes.")
            chunks.append(chunk)
    except (ConnectionError, web.RequestPayloadError) as failure:
        raise ClientGone from failure
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if not encoding or encoding == b"identity":
        return body
    return inflate(body, encoding, limit_bytes)


async def _next_chunk(content: StreamReader, began_s: float, size: int, pace: Pace) -> bytes:
    try:
        async with asyncio.timeout_at(began_s + pace.time_for(size)):
            return await content.readany()
    except TimeoutError as failure:
        raise too_slow(size) from failure


def too_slow(size: int) -> BodyRefused:
    """The refusal of a body that does not keep pace. size: what has come of it."""
    return BodyRefused(too_large=False, why=f"The body came too slowly: {size} bytes so far.", http_status=408)


def inflate(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """Undo one layer of gzip or zstd."""
    if encoding == b"gzip":
        return _inflate_gzip(body, limit_bytes)
    if encoding == b"zstd":
        return _inflate_zstd(body, limit_bytes)
    raise BodyRefused(
        too_large=False,
        http_status=415,
        why=f"Content-Encoding {encoding.decode('latin-1')[:40]!r} is not understood; send gzip, zstd or none.",
    )


def _inflate_gzip(body: bytes, limit_bytes: int) -> bytes:
    engine = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        while rest and not engine.eof:
            part = engine.decompress(rest, _STEP)
            size += len(part)
            _check_growth(size, len(body), limit_bytes)
            parts.append(part)
            rest = engine.unconsumed_tail
    except zlib.error as failure:
        raise BodyRefused(too_large=False, why="The body is not valid gzip.") from failure
    if not engine.eof or engine.unused_data:
        raise BodyRefused(too_large=False, why="The gzip body is cut short or has something behind it.")
    return b"".join(parts)


def _inflate_zstd(body: bytes, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        # A window above the limit would be memory on the sender's word.
        engine = zstandard.ZstdDecompressor(max_window_size=max(limit_bytes, 1 << 10)).decompressobj()
        for start in range(0, len(body), _PACKED_STEP):
            part = engine.decompress(body[start : start + _PACKED_STEP])
            size += len(part)
            _check_growth(size, len(body), limit_bytes)
            parts.append(part)
            if engine.eof:
                break
    except zstandard.ZstdError as failure:
        raise BodyRefused(too_large=False, why="The body is not valid zstd.") from failure
    if not engine.eof or engine.unused_data or start + _PACKED_STEP < len(body):
        raise BodyRefused(too_large=False, why="The zstd body is cut short or has something behind it.")
    return b"".join(parts)


def _check_growth(size: int, packed: int, limit_bytes: int) -> None:
    if size > limit_bytes or (size > _MIB and size > packed * _MAX_RATIO):
        raise BodyRefused(
            too_large=True, why=f"The body inflates past what is taken here ({limit_bytes} bytes, 20 to 1)."
        )
