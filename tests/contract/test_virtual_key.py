"""The format of keys: what is minted reads back, what is damaged does not, and nothing shows a secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.virtual_key import (
    ALPHABET,
    KEY_PATTERN,
    VIRTUAL_KINDS,
    KeyKind,
    KeyToken,
    bucket_of,
    digest,
    mint,
    read,
)

# Written down by hand from the format: CRC32 of everything before it, in base 62, six digits.
KNOWN = "sypat_A1b2C3d4E5f6" + "0" * 32 + "4IYNp2"
KINDS = st.sampled_from(KeyKind)


@given(KINDS)
def test_a_minted_key_reads_back(kind: KeyKind) -> None:
    token = mint(kind)
    assert read(token.text) == token
    assert re.fullmatch(r"sy[a-z]{3,4}_[0-9A-Za-z]{50}", token.text)


@given(KINDS, st.data())
def test_one_changed_character_is_noticed(kind: KeyKind, data: st.DataObject) -> None:
    text = mint(kind).text
    position = data.draw(st.integers(len(kind) + 1, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(text[position], "")))
    assert read(text[:position] + other + text[position + 1 :]) is None


@given(st.data())
def test_two_neighbours_changed_places_is_noticed(data: st.DataObject) -> None:
    text = mint(KeyKind.PERSONAL).text
    position = data.draw(st.integers(6, len(text) - 2))
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert (read(swapped) is None) is (swapped != text)


@given(st.text())
def test_any_other_text_is_no_key(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text.replace("_", "-"),
        lambda text: "sk" + text[2:],
        lambda text: text.upper(),
        lambda text: text.replace("sypat", "sysvc"),
    ],
)
def test_a_key_is_read_only_exactly_as_written(spoil: object) -> None:
    assert callable(spoil)
    assert read(spoil(KNOWN)) is None


def test_the_checksum_and_the_digest_are_these() -> None:
    token = read(KNOWN)
    assert token == KeyToken(KeyKind.PERSONAL, "A1b2C3d4E5f6", KNOWN)
    assert digest(token, bytes(range(32))).hex() == "327d754cca6d3f1938c8d2fb989f1d5b4e6e9276a75b5ffa599e1097dbec15be"


def test_another_pepper_gives_another_digest() -> None:
    token = mint(KeyKind.SERVICE)
    assert digest(token, bytes(32)) != digest(token, bytes(31) + b"\x01")
    assert len(digest(token, bytes(32))) == 32


def test_a_key_never_shows_in_a_repr() -> None:
    token = mint(KeyKind.PERSONAL)
    assert repr(token) == f"KeyToken(sypat_{token.id[:4]}…)"
    assert f"{token!r} {[token]} {token!s}".count(token.text) == 0


def test_the_pattern_finds_a_key_inside_text() -> None:
    token = mint(KeyKind.POD)
    found = KEY_PATTERN.search(f'{{"authorization": "Bearer {token.text}"}}')
    assert found is not None
    assert found.group() == token.text


def test_only_personal_and_service_keys_open_the_gateway() -> None:
    assert {KeyKind.PERSONAL, KeyKind.SERVICE} == VIRTUAL_KINDS


def test_the_bucket_follows_from_the_id_alone() -> None:
    assert bucket_of("A1b2C3d4E5f6", 16) == 2
    assert bucket_of("A1b2C3d4E5f6", 1) == 0
    assert bucket_of("A1b2C3d4E5f6", 0) == 0


@given(KINDS, st.integers(1, 64))
def test_a_bucket_is_one_of_those_there_are(kind: KeyKind, buckets: int) -> None:
    assert 0 <= bucket_of(mint(kind).id, buckets) < buckets
