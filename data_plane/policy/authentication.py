"""From a presented key to a caller.

What is said about a key depends on its secret being right: unknown, malformed and wrong secret share one answer, and
all of them cost one digest, so neither words nor time tell an outsider which key ids exist.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256

from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.memory import ProvenKey, remember
from data_plane.policy.snapshot import (
    NEVER_STALE,
    Deny,
    KeyRecord,
    OrganizationPolicy,
    OrganizationRecord,
    OrganizationState,
    PolicySnapshot,
)
from switchyard_contract.reason import Reason
from switchyard_contract.virtual_key import ID_LENGTH, VIRTUAL_KINDS, KeyKind, KeyToken, read

DigestOf = Callable[[KeyToken, int], bytes | None]
"""Digest of a token under a pepper version; None: that pepper is not held."""

PENDING_RETRY_AFTER_S = 2
_ZEROS = bytes(32)
_STAND_IN = KeyToken(KeyKind.PERSONAL, "0" * ID_LENGTH, f"{KeyKind.PERSONAL}_{'0' * 50}")


def authenticate(
    policy: PolicySnapshot,
    presented: str | None,
    *,
    digest_of: DigestOf,
    is_revoked: Callable[[str], bool],
    now_ms: int,
    beacon_age_ms: int | None,
    material: int | None = None,
) -> Caller | Refusal:
    """Say who calls.

    is_revoked: what the pod heard outside the snapshot (tombstones). beacon_age_ms: how long ago the control plane was
    last heard of; None: not since the start, and then nothing is held to be too old by it. material: revision of the
    key material that digest_of speaks for; with it, a key proven once need not be proven again under this policy.
    Refuses with unauthenticated, key_revoked, key_expired, organization_disabled or policy_pending.
    """
    if presented is None:
        return Refusal(Reason.UNAUTHENTICATED)
    if material is None:
        mark = b""
    else:
        mark = sha256(presented.encode()).digest()
        proven = policy.memory.proven.get(mark)
        if proven is not None and still_holds(proven, material, is_revoked, now_ms, beacon_age_ms):
            return proven.caller
    token = read(presented)
    if token is None or token.kind not in VIRTUAL_KINDS:
        _burn_a_digest(policy, digest_of)
        return Refusal(Reason.UNAUTHENTICATED)
    key = policy.keys.get(token.id)
    if key is None:
        _burn_a_digest(policy, digest_of)
        return Refusal(Reason.UNAUTHENTICATED) if policy.is_complete else _pending()
    digest = digest_of(token, key.pepper_version)
    if digest is None:
        # The pepper arrives over the same stream as the snapshot, a moment later after a cold start.
        return _pending()
    if not hmac.compare_digest(digest, key.digest):
        return Refusal(Reason.UNAUTHENTICATED)
    # From here on the caller has proved to hold the key and may be told the truth about it.
    organization = policy.organizations[key.organization_id]
    caller = _admit(organization, key, is_revoked=is_revoked, now_ms=now_ms, beacon_age_ms=beacon_age_ms)
    if material is not None and isinstance(caller, Caller) and organization.policy is not None:
        max_stale_ms = organization.policy.max_stale_ms
        remember(policy.memory.proven, mark, ProvenKey(caller, material, key.expires_at_ms, max_stale_ms))
    return caller


def proven_key(policy: PolicySnapshot, presented: str | None) -> ProvenKey | None:
    """What is remembered of a key that `authenticate` has just let in."""
    return None if presented is None else policy.memory.proven.get(sha256(presented.encode()).digest())


def still_holds(
    proven: ProvenKey, material: int, is_revoked: Callable[[str], bool], now_ms: int, beacon_age_ms: int | None
) -> bool:
    """Whether a key that was proven under this policy still lets its caller in: all that changes without the policy."""
    return (
        proven.material == material
        and not is_revoked(proven.caller.key_id)
        and not (proven.expires_at_ms and proven.expires_at_ms <= now_ms)
        and not _is_stale(proven.max_stale_ms, beacon_age_ms)
    )


def _admit(
    organization: OrganizationRecord,
    key: KeyRecord,
    *,
    is_revoked: Callable[[str], bool],
    now_ms: int,
    beacon_age_ms: int | None,
) -> Caller | Refusal:
    deny: Deny = organization.deny
    if key.id in deny.keys or is_revoked(key.id):
        return Refusal(Reason.KEY_REVOKED)
    if organization.state is OrganizationState.DISABLED:
        return Refusal(Reason.ORGANIZATION_DISABLED, f"The organization {organization.name} is switched off.")
    policy = organization.policy
    if policy is None or organization.state is OrganizationState.PENDING:
        return _pending()
    principal = policy.principals.get(key.principal_id)
    team = policy.teams.get(key.team_id)
    if principal is None or team is None:
        # Key and policy shards travel apart: a new person's key may be here a moment before the person.
        return _pending()
    if not principal.is_active or principal.id in deny.principals:
        return Refusal(
            Reason.KEY_REVOKED, f"{principal.name} is deactivated, and so is this key.{_whom_to_ask(policy)}"
        )
    if key.expires_at_ms and key.expires_at_ms <= now_ms:
        return Refusal(Reason.KEY_EXPIRED)
    if _is_stale(policy.max_stale_ms, beacon_age_ms):
        return Refusal(
            Reason.POLICY_PENDING,
            "This gateway has been cut off from its control plane for longer than the organization allows.",
            retry_after_s=60,
        )
    return Caller(
        organization_id=organization.id,
        organization_name=policy.name or organization.name,
        key_id=key.id,
        key_name=key.name,
        key_prefix=key.prefix,
        principal_id=principal.id,
        principal_kind=principal.kind,
        principal_name=principal.name,
        team_id=team.id,
        team_name=team.name,
        models=key.models,
        scope=key.scope,
        tags={**team.tags, **principal.tags, **key.tags},
        contact=policy.contact,
        role=principal.role,
    )


def _is_stale(max_stale_ms: int, beacon_age_ms: int | None) -> bool:
    return max_stale_ms != NEVER_STALE and beacon_age_ms is not None and beacon_age_ms > max_stale_ms


def _burn_a_digest(policy: PolicySnapshot, digest_of: DigestOf) -> None:
    hmac.compare_digest(digest_of(_STAND_IN, policy.newest_pepper) or _ZEROS, _ZEROS)


def _pending() -> Refusal:
    return Refusal(Reason.POLICY_PENDING, retry_after_s=PENDING_RETRY_AFTER_S)


def _whom_to_ask(policy: OrganizationPolicy) -> str:
    return f" Ask {policy.contact}." if policy.contact else ""
