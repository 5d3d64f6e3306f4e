"""A conversation keeps its opening while its history grows, however much of it is looked at."""

import json

import pytest

from data_plane.protocols.body import opening, read_fields

SIZES_KB = (1, 15, 17, 19, 21, 63, 66, 200)
"""On both sides of every size from which a history is read in another way."""


def digest_of(system: str, first: str, history_kb: int) -> bytes:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": first}]
    turns += [{"role": "assistant", "content": "é" * 512}] * history_kb
    body = json.dumps({"messages": turns}, ensure_ascii=False).encode()
    return opening(read_fields(body, frozenset()), "", "messages")


@pytest.mark.parametrize(
    ("system", "first"),
    [
        ("be brief", "fix the test"),
        ("é" * 3000, "日本" * 40),
        ("x" * 12_000, "y" * 12_000),
        ("x" * 30_000, "fix it"),
        ("x" * 30_000, "日" * 9_000),
    ],
    ids=["short", "two bytes each", "together above the first look", "long system", "both long"],
)
def test_an_opening_stays_while_the_history_grows(system: str, first: str) -> None:
    digests = {digest_of(system, first, size) for size in SIZES_KB}
    assert len(digests) == 1
    assert digests != {b""}


def test_another_opening_is_another_digest() -> None:
    assert len({digest_of("a", "b", 30), digest_of("a", "c", 30), digest_of("d", "b", 30), b""}) == 4
