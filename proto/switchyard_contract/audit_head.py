"""Signed heads: where an audit chain stood at an instant, in words that cannot be taken back.

A head is signed with the installation's key over one line of text per fact, so that it can be checked with any
Ed25519 tool. Pods hold the newest ones (GlobalShard.audit_heads), a file keeps them all: whoever rewrites a chain in
the database would have to rewrite those too, and cannot sign.
Source: docs/decisions/0092-signed-heads.md
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from switchyard_contract.seal import SigningKey, VerifyKeys

AUDIT_HEAD_DOMAIN = "switchyard/audit-head/v1"


class InvalidHead(ValueError):
    """A line that is no signed head."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The last entry of a chain at an instant. organization: 32 hex digits, or "installation"."""

    deployment: str
    organization: str
    sequence: int
    hash: bytes
    at_ms: int
    signing_key_id: str
    signature: bytes

    @property
    def message(self) -> bytes:
        """The bytes that are signed: one fact a line."""
        return head_message(
            self.deployment, self.organization, self.sequence, self.hash, self.at_ms, self.signing_key_id
        )


def head_message(
    deployment: str, organization: str, sequence: int, digest: bytes, at_ms: int, signing_key_id: str
) -> bytes:
    lines = (AUDIT_HEAD_DOMAIN, deployment, organization, str(sequence), digest.hex(), str(at_ms), signing_key_id)
    return "\n".join(lines).encode()


def sign_head(
    *, deployment: str, organization: str, sequence: int, digest: bytes, at_ms: int, key: SigningKey
) -> SignedHead:
    message = head_message(deployment, organization, sequence, digest, at_ms, key.key_id)
    return SignedHead(deployment, organization, sequence, digest, at_ms, key.key_id, key.sign(message))


def check_head(head: SignedHead, keys: VerifyKeys) -> None:
    """Raise UnknownSigningKey or BadSignature unless the head was signed by one of these keys."""
    keys.verify(head.signing_key_id, head.message, head.signature)


def write_head(head: SignedHead) -> dict[str, Any]:
    """A head as JSON holds it; one of these a line is what the file sink keeps."""
    return {
        "domain": AUDIT_HEAD_DOMAIN,
        "deployment": head.deployment,
        "organization": head.organization,
        "sequence": head.sequence,
        "hash": head.hash.hex(),
        "at_ms": head.at_ms,
        "signing_key_id": head.signing_key_id,
        "signature": base64.b64encode(head.signature).decode(),
    }


def read_head(text: str | dict[str, Any]) -> SignedHead:
    """Read what `write_head` wrote; raises InvalidHead. The signature is not checked here."""
    try:
        facts = json.loads(text) if isinstance(text, str) else text
        if not isinstance(facts, dict) or facts.get("domain") != AUDIT_HEAD_DOMAIN:
            raise InvalidHead(f"no head of {AUDIT_HEAD_DOMAIN!r}")
        texts = [facts[name] for name in ("deployment", "organization", "hash", "signing_key_id", "signature")]
        numbers = [facts[name] for name in ("sequence", "at_ms")]
        if not all(isinstance(each, str) for each in texts) or not all(type(each) is int for each in numbers):
            raise InvalidHead("a fact of the head has the wrong type")
        deployment, organization, digest, key_id, signature = texts
        return SignedHead(
            deployment,
            organization,
            numbers[0],
            bytes.fromhex(digest),
            numbers[1],
            key_id,
            base64.b64decode(signature, validate=True),
        )
    except (json.JSONDecodeError, KeyError, binascii.Error, ValueError) as failure:
        raise InvalidHead(str(failure)) from failure
