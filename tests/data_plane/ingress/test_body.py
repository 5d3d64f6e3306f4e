import gzip

import pytest
import zstandard

from data_plane.exchange.ports import BodyRefused
from data_plane.ingress.body import inflate

MIB = 1024 * 1024


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd"])
def test_a_compressed_body_is_inflated(encoding: bytes) -> None:
    body = b'{"model": "claude"}' * 5000
    packed = gzip.compress(body) if encoding == b"gzip" else zstandard.compress(body)
    assert inflate(packed, encoding, MIB) == body


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd"])
@pytest.mark.parametrize("size", [40 * MIB, 20 * MIB])
def test_a_bomb_is_refused_as_too_large(encoding: bytes, size: int) -> None:
    body = bytes(size)
    packed = gzip.compress(body) if encoding == b"gzip" else zstandard.compress(body)
    with pytest.raises(BodyRefused) as refused:
        inflate(packed, encoding, 32 * MIB)
    assert refused.value.too_large


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (b"not gzip at all", b"gzip"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-4], b"gzip"),
        (gzip.compress(b"x", mtime=0) + b"behind", b"gzip"),
        (b"not zstd at all", b"zstd"),
        (zstandard.compress(b"x" * 1000)[:-4], b"zstd"),
        (zstandard.compress(b"x" * 1000) + b"behind", b"zstd"),
        (b"{}", b"br"),
        (b"{}", b"gzip, gzip"),
    ],
)
def test_a_body_that_does_not_inflate_is_refused_with_a_reason(packed: bytes, encoding: bytes) -> None:
    with pytest.raises(BodyRefused) as refused:
        inflate(packed, encoding, MIB)
    assert not refused.value.too_large
    assert refused.value.why
