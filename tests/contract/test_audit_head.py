"""Signed heads: read back as they were written, and believed only with the right signature."""

import json
from dataclasses import replace

import pytest

from switchyard_contract.audit_head import InvalidHead, SignedHead, check_head, read_head, sign_head, write_head
from switchyard_contract.seal import BadSignature, SigningKey, UnknownSigningKey, VerifyKeys

KEY = SigningKey("k1", bytes(range(32)))
KEYS = VerifyKeys({KEY.key_id: KEY.public_bytes})


def a_head() -> SignedHead:
    return sign_head(deployment="d", organization="0a" * 16, sequence=7, digest=b"\x01" * 32, at_ms=1_000, key=KEY)


def test_a_head_survives_its_line() -> None:
    head = a_head()
    assert read_head(json.dumps(write_head(head))) == head
    check_head(head, KEYS)


def test_what_is_signed_is_text_that_any_tool_can_rebuild() -> None:
    assert (
        a_head().message
        == "\n".join(["switchyard/audit-head/v1", "d", "0a" * 16, "7", "01" * 32, "1000", "k1"]).encode()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"deployment": "other"},
        {"organization": "0b" * 16},
        {"sequence": 8},
        {"hash": b"\x02" * 32},
        {"at_ms": 1_001},
        {"signature": b"\x00" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_fact_of_a_head_can_be_changed(change: dict[str, object]) -> None:
    with pytest.raises(BadSignature):
        check_head(replace(a_head(), **change), KEYS)  # type: ignore[arg-type]  # one fact each


def test_a_key_that_is_not_trusted_is_named() -> None:
    with pytest.raises(UnknownSigningKey, match="k2"):
        check_head(replace(a_head(), signing_key_id="k2"), KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"domain": "switchyard/beacon/v1"}',
        json.dumps({**write_head(a_head()), "sequence": "7"}),
        json.dumps({**write_head(a_head()), "hash": "zz"}),
        json.dumps({**write_head(a_head()), "signature": "not base64!"}),
        json.dumps({name: value for name, value in write_head(a_head()).items() if name != "at_ms"}),
    ],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(InvalidHead):
        read_head(text)
