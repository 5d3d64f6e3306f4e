"""Say whose jobs are trusted, and exchange their tokens for keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from control_plane.audit.services import Actor, ActorKind, Subject, record_change
from control_plane.credentials.destination import ForbiddenDestination
from control_plane.identity.outbound import check_address
from control_plane.identity.workload.issuer_keys import KeysUnknown, issuer_keys
from control_plane.identity.workload.models import LONGEST_LIFETIME_S, UsedToken, WorkloadTrust
from control_plane.identity.workload.patterns import WrongConditions, checked_conditions, unfit_claim
from control_plane.identity.workload.tokens import (
    LEEWAY,
    BadKeys,
    BadToken,
    UnknownSigner,
    Unverified,
    Verified,
    checked_keys,
    look_at,
    verify,
)
from control_plane.keys.services import MintedKey, key_mint
from control_plane.keys.services.scopes import checked_globs
from control_plane.organizations.models import ServiceAccount

log = structlog.get_logger(__name__)

SHORTEST_LIFETIME_S = 60
MOST_TRUSTS = 20
AUDITED_REFUSALS, AUDITED_WINDOW_S = 30, 600
"""So many refusals of one account are written to the audit in that time: strangers must not fill it."""
TOLD_CLAIMS = ("repository", "ref", "environment", "project_path", "workflow", "job_workflow_ref", "actor", "run_id")
"""What the audit keeps of a token's claims, where it has them."""


class ExchangeRefused(Exception):
    """No key for this token; the message is for whoever looks into the job's log."""

    def __init__(self, message: str, *, is_out_of_reach: bool = False) -> None:
        super().__init__(message)
        self.is_out_of_reach = is_out_of_reach


@dataclass(frozen=True, slots=True)
class TrustFacts:
    """What a trust is made of. conditions: claim to a pattern, or to a list of them."""

    name: str
    issuer: str
    audience: str
    conditions: Mapping[str, Any]
    pinned_keys: Mapping[str, Any] | None = None
    models: Sequence[str] = ()
    lifetime_s: int = LONGEST_LIFETIME_S
    is_active: bool = True


@transaction.atomic
def trust_add(*, service_account: ServiceAccount, facts: TrustFacts, actor: Actor) -> WorkloadTrust:
    """Trust an issuer's jobs to act as a service account. Raises ValidationError."""
    # The lock keeps two people from passing the limit together.
    account = ServiceAccount.objects.select_for_update().get(
        id=service_account.id, organization_id=service_account.organization_id
    )
    if account.workload_trusts.count() >= MOST_TRUSTS:
        raise ValidationError(f"A service account trusts at most {MOST_TRUSTS}.")
    trust = WorkloadTrust(organization_id=account.organization_id, service_account=account)
    _fill(trust, facts)
    trust.save(force_insert=True)
    _record(trust, actor, "workload_trust.added", after=_facts(trust))
    return trust


@transaction.atomic
def trust_update(*, trust: WorkloadTrust, facts: TrustFacts, actor: Actor) -> WorkloadTrust:
    """Change a trust. Keys that were minted by it live to their end, at most an hour. Raises ValidationError."""
    before = _facts(trust)
    _fill(trust, facts)
    after = _facts(trust)
    if after == before:
        return trust
    trust.save()
    _record(trust, actor, "workload_trust.updated", before=before, after=after)
    return trust


@transaction.atomic
def trust_remove(*, trust: WorkloadTrust, actor: Actor, reason: str = "") -> None:
    """Trust those jobs no longer; keys they hold live to their end, at most an hour."""
    _record(trust, actor, "workload_trust.removed", before=_facts(trust), reason=reason)
    trust.delete()


def workload_key_exchange(
    *, service_account: str, token: str, source_address: str, lifetime_s: int | None = None
) -> MintedKey:
    """Give a job a key of a service account for its own token. Raises ExchangeRefused.

    service_account: `organization/name`, or the account's id. lifetime_s: at most the trust's; None: as long as that.
    """
    try:
        unverified = look_at(token)
    except BadToken as failure:
        log.info("workload key refused", why=str(failure), source=source_address)
        raise ExchangeRefused(str(failure)) from failure
    account = _account(service_account)
    trusts = (
        []
        if account is None
        else list(
            WorkloadTrust.objects.filter(
                organization_id=account.organization_id,
                service_account=account,
                issuer=unverified.issuer,
                is_active=True,
            ).select_related("organization", "service_account")
        )
    )
    if account is None or not trusts:
        # The same words whether there is such an account or not.
        log.info("workload key refused", why="no trust", issuer=unverified.issuer, source=source_address)
        raise ExchangeRefused(f"No service account {service_account[:120]!r} trusts {unverified.issuer[:200]}.")
    try:
        trust, verified = _vouched(trusts, unverified)
        _check_account(account)
        return _mint(trust, verified, source_address, lifetime_s)
    except ExchangeRefused as refusal:
        _record_refusal(account, unverified, str(refusal), source_address)
        raise


def _vouched(trusts: Sequence[WorkloadTrust], token: Unverified) -> tuple[WorkloadTrust, Verified]:
    """The first trust that the token satisfies. Raises ExchangeRefused with the reason that came closest."""
    reasons: list[tuple[int, str]] = []
    for trust in trusts:
        try:
            verified = _verified(trust, token)
        except BadToken as failure:
            reasons.append((0, str(failure)))
            continue
        claim = unfit_claim(trust.conditions, verified.claims)
        if not claim:
            return trust, verified
        reasons.append((1, f"The claim {claim!r} of the token does not fit what {trust.name!r} asks for."))
    raise ExchangeRefused(max(reasons, key=lambda reason: reason[0])[1])


def _verified(trust: WorkloadTrust, token: Unverified) -> Verified:
    now = timezone.now()
    if trust.pinned_keys is not None:
        return verify(token, trust.pinned_keys, audience=trust.audience, now=now)
    try:
        known = issuer_keys(trust.organization, trust.issuer)
        try:
            return verify(token, known.keys or {}, audience=trust.audience, now=now)
        except UnknownSigner:
            # The issuer may have new keys since; asked at most every half minute, whatever tokens say.
            known = issuer_keys(trust.organization, trust.issuer, wants_newer_than=known.read_at)
            return verify(token, known.keys or {}, audience=trust.audience, now=now)
    except KeysUnknown as failure:
        raise ExchangeRefused(f"{trust.issuer}: {failure}", is_out_of_reach=True) from failure


def _mint(trust: WorkloadTrust, verified: Verified, source_address: str, lifetime_s: int | None) -> MintedKey:
    wanted_s = trust.lifetime_s if lifetime_s is None else min(lifetime_s, trust.lifetime_s)
    now = timezone.now()
    account = trust.service_account
    actor = Actor(ActorKind.SERVICE_ACCOUNT, account.id.hex, f"{account.name} (by {trust.name})", source_address)
    UsedToken.objects.filter(organization=trust.organization, expires_at__lt=now).delete()
    try:
        with transaction.atomic():
            _use_up(trust, verified)
            minted = key_mint(
                organization=trust.organization,
                name=f"{trust.name}: {verified.subject}"[:100].strip(),
                actor=actor,
                service_account=account,
                models=trust.allowed_models,
                expires_at=now + timedelta(seconds=max(wanted_s, SHORTEST_LIFETIME_S)),
            )
            record_change(
                organization_id=trust.organization_id,
                actor=actor,
                action="workload_key.minted",
                subject=Subject("service_account", account.id.hex, account.name),
                after={"key": minted.key.prefix, "trust": trust.name, "issuer": trust.issuer, **_told(verified)},
            )
    except ValidationError as failure:
        raise ExchangeRefused(" ".join(failure.messages)) from failure
    return minted


def _use_up(trust: WorkloadTrust, verified: Verified) -> None:
    """Take a token out of use, whoever brings it again; raises ExchangeRefused when somebody has before."""
    try:
        with transaction.atomic():
            UsedToken.objects.create(
                organization=trust.organization, digest=verified.digest, expires_at=verified.expires_at + 2 * LEEWAY
            )
    except IntegrityError as failure:
        raise ExchangeRefused("This token was exchanged already; each works once.") from failure


def _check_account(account: ServiceAccount) -> None:
    if not account.is_active:
        raise ExchangeRefused(f"The service account {account.name} is switched off.")


def _told(verified: Verified) -> dict[str, str]:
    claims = {name: verified.claims.get(name) for name in TOLD_CLAIMS}
    told = {name: str(value)[:200] for name, value in claims.items() if isinstance(value, str | int)}
    return {"subject": verified.subject, **told}


def _record_refusal(account: ServiceAccount, token: Unverified, why: str, source_address: str) -> None:
    log.info("workload key refused", why=why, issuer=token.issuer, account=account.id.hex, source=source_address)
    if not _has_room_in_audit(account.id):
        return
    with transaction.atomic():
        record_change(
            organization_id=account.organization_id,
            actor=Actor(ActorKind.SYSTEM, "", "workload keys", source_address),
            action="workload_key.refused",
            subject=Subject("service_account", account.id.hex, account.name),
            after={"why": why, "issuer": token.issuer[:300]},
        )


def _has_room_in_audit(account_id: UUID) -> bool:
    name = f"workload-refusals:{account_id.hex}"
    try:
        cache.add(name, 0, AUDITED_WINDOW_S)
        return cache.incr(name) <= AUDITED_REFUSALS
    except (RedisError, ValueError):
        # ValueError: the count ran out between the two calls.
        return True


def _account(text: str) -> ServiceAccount | None:
    accounts = ServiceAccount.objects.select_related("organization")
    slug, slash, name = text.partition("/")
    if slash:
        return accounts.filter(organization__slug=slug, name=name).first() if "\x00" not in text else None
    try:
        return accounts.filter(id=UUID(text)).first()
    except ValueError:
        return None


def _fill(trust: WorkloadTrust, facts: TrustFacts) -> None:
    problems: dict[str, list[str]] = {}
    trust.name, trust.issuer, trust.audience = facts.name.strip(), facts.issuer.strip(), facts.audience.strip()
    trust.lifetime_s, trust.is_active = facts.lifetime_s, facts.is_active
    for field, check in (("issuer", _check_issuer), ("conditions", _check_conditions), ("pinned_keys", _check_keys)):
        try:
            check(trust, facts)
        except (ForbiddenDestination, WrongConditions, BadKeys) as failure:
            problems[field] = [str(failure)]
    try:
        trust.allowed_models = checked_globs(facts.models)
    except ValidationError as failure:
        problems |= failure.message_dict
    if not SHORTEST_LIFETIME_S <= facts.lifetime_s <= LONGEST_LIFETIME_S:
        problems["lifetime_s"] = [f"From {SHORTEST_LIFETIME_S} to {LONGEST_LIFETIME_S} seconds."]
    if not trust.audience:
        problems["audience"] = ["Say for whom the tokens are, such as the console's own address."]
    if problems:
        raise ValidationError(problems)
    trust.full_clean()


def _check_issuer(trust: WorkloadTrust, facts: TrustFacts) -> None:
    parts = urlsplit(trust.issuer)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ForbiddenDestination("The issuer is an address such as https://token.actions.githubusercontent.com.")
    if facts.pinned_keys is None:
        check_address(trust.issuer)


def _check_conditions(trust: WorkloadTrust, facts: TrustFacts) -> None:
    trust.conditions = checked_conditions(facts.conditions, trust.issuer)


def _check_keys(trust: WorkloadTrust, facts: TrustFacts) -> None:
    trust.pinned_keys = None if facts.pinned_keys is None else checked_keys(facts.pinned_keys)


def _facts(trust: WorkloadTrust) -> dict[str, Any]:
    return {
        "name": trust.name,
        "service_account": trust.service_account.name,
        "issuer": trust.issuer,
        "audience": trust.audience,
        "conditions": trust.conditions,
        "pinned_keys": None if trust.pinned_keys is None else [key.get("kid", "") for key in trust.pinned_keys["keys"]],
        "models": list(trust.allowed_models),
        "lifetime_s": trust.lifetime_s,
        "is_active": trust.is_active,
    }


def _record(
    trust: WorkloadTrust,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    record_change(
        organization_id=trust.organization_id,
        actor=actor,
        action=action,
        subject=Subject("workload_trust", trust.id.hex, f"{trust.name} of {trust.service_account.name}"),
        before=before,
        after=after,
        reason=reason,
    )
