"""Change providers; seal their credentials."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.credentials.destination import Destination, ForbiddenDestination, check_destination
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.sources import (
    NO_CREDENTIAL,
    CredentialChoice,
    UnreadableCredential,
    folder_of,
    names_of,
    read_credential,
)
from control_plane.credentials.vendors import PROTOCOLS, vendors
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import is_first_organization
from switchyard_contract.envelope import EnvelopeFailure, open_credential, seal_credential
from switchyard_contract.v1 import snapshot_pb2

__all__ = [
    "NO_CREDENTIAL",
    "CredentialChoice",
    "CredentialSource",
    "ProviderLimits",
    "Timeouts",
    "credential_replace",
    "credentials_refresh",
    "limits_of",
    "provider_create",
    "provider_delete",
    "provider_update",
]


OF_THE_DEPLOYMENT = (CredentialSource.ENV, CredentialSource.FILE)
"""Sources whose secret belongs to whoever runs the installation, not to whoever names it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a pod waits for an upstream, ms."""

    connect_ms: int = 5_000
    first_byte_ms: int = 600_000
    idle_ms: int = 300_000


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What an upstream account or a machine takes, all callers together; 0: no limit."""

    concurrent_requests: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


NO_LIMITS = ProviderLimits()
HIGHEST_PROVIDER_LIMIT = 10**12


@transaction.atomic
def provider_create(
    *,
    organization: Organization,
    name: str,
    vendor: str,
    actor: Actor,
    base_url: str = "",
    credential: CredentialChoice = NO_CREDENTIAL,
    models: Sequence[str] = ("*",),
    region: str = "",
    account: str = "",
    protocols: Sequence[str] = (),
    timeouts: Timeouts = Timeouts(),
    limits: ProviderLimits = NO_LIMITS,
    external: bool | None = None,
    is_active: bool = True,
) -> Provider:
    """Add an upstream account. base_url empty: the vendor's public address. Raises ValidationError.

    external None: unless its address lies in the deployment's own networks.
    """
    destination = _checked_destination(vendor, base_url)
    provider = Provider(
        organization=organization,
        name=name.strip(),
        vendor=vendor,
        base_url=destination.base_url,
        allows_private_address=destination.is_private,
        region=region,
        account=account,
        protocols=_checked_protocols(protocols),
        served_models=_checked_models(models),
        connect_timeout_ms=timeouts.connect_ms,
        first_byte_timeout_ms=timeouts.first_byte_ms,
        idle_timeout_ms=timeouts.idle_ms,
        is_external=not destination.is_private if external is None else external,
        is_active=is_active,
    )
    _put_limits(provider, limits)
    _put_credential(provider, credential)
    provider.full_clean()
    provider.save(force_insert=True)
    _record(provider, actor, "provider.created", before=None)
    return provider


@transaction.atomic
def provider_update(
    *,
    provider: Provider,
    actor: Actor,
    name: str | None = None,
    base_url: str | None = None,
    models: Sequence[str] | None = None,
    region: str | None = None,
    account: str | None = None,
    protocols: Sequence[str] | None = None,
    timeouts: Timeouts | None = None,
    limits: ProviderLimits | None = None,
    external: bool | None = None,
    is_active: bool | None = None,
) -> Provider:
    """Change a provider; None leaves a fact as it is. The vendor stays: another vendor is another provider."""
    provider = _locked(provider)
    before = provider_facts(provider)
    if name is not None:
        provider.name = name.strip()
    if base_url is not None and base_url.rstrip("/") != provider.base_url:
        destination = _checked_destination(provider.vendor, base_url)
        # A key sealed for one address must not be sent to another by whoever may edit the address, wherever it
        # came from.
        if provider.has_credential:
            raise ValidationError({"base_url": "Enter the credential again to send it to another address."})
        _put_address(provider, destination)
    if models is not None:
        provider.served_models = _checked_models(models)
    if region is not None:
        provider.region = region
    if account is not None:
        provider.account = account
    if protocols is not None:
        provider.protocols = _checked_protocols(protocols)
    if timeouts is not None:
        provider.connect_timeout_ms = timeouts.connect_ms
        provider.first_byte_timeout_ms = timeouts.first_byte_ms
        provider.idle_timeout_ms = timeouts.idle_ms
    if limits is not None:
        _put_limits(provider, limits)
    if external is not None:
        provider.is_external = external
    if is_active is not None:
        provider.is_active = is_active
    if provider_facts(provider) == before:
        return provider
    provider.full_clean()
    provider.save()
    _record(provider, actor, "provider.updated", before=before)
    return provider


@transaction.atomic
def credential_replace(
    *, provider: Provider, credential: CredentialChoice, actor: Actor, base_url: str | None = None
) -> Provider:
    """Replace a provider's credential, and its address in the same step where that changes too."""
    provider = _locked(provider)
    before = provider_facts(provider)
    if base_url is not None:
        destination = _checked_destination(provider.vendor, base_url)
        _put_address(provider, destination)
    _put_credential(provider, credential)
    provider.full_clean()
    provider.save()
    _record(provider, actor, "provider.credential_replaced", before=before)
    return provider


@transaction.atomic
def provider_delete(*, provider: Provider, actor: Actor, reason: str = "") -> None:
    """Take a provider away. Raises ValidationError naming the virtual models that still lead to it."""
    provider = _locked(provider)
    before, subject = provider_facts(provider), _subject(provider)
    organization_id = provider.organization_id
    try:
        provider.delete()
    except ProtectedError as failure:
        names = sorted({str(getattr(row, "virtual_model", row)) for row in failure.protected_objects})
        raise ValidationError({"provider": f"Still the target of {', '.join(names[:20])}."}) from failure
    record_change(
        organization_id=organization_id,
        actor=actor,
        action="provider.deleted",
        subject=subject,
        before=before,
        reason=reason,
        shards=(ShardKind.POLICY,),
    )


def credentials_refresh(*, actor: Actor) -> list[str]:
    """Read the credentials of environment and files again; says which could not be read.

    A changed one is sealed anew, so that a key rotated by the platform reaches the pods without a hand.
    """
    problems: list[str] = []
    rows = Provider.objects.filter(credential_source__in=OF_THE_DEPLOYMENT, is_active=True).select_related(
        "organization"
    )
    for provider in rows:
        choice = CredentialChoice(CredentialSource(provider.credential_source), provider.credential_reference)
        try:
            if _read(provider, choice) != _opened(provider):
                credential_replace(provider=provider, credential=choice, actor=actor)
        except UnreadableCredential as failure:
            problems.append(f"{provider.organization.slug}/{provider.name}: {failure}")
        except ValidationError as failure:
            problems.append(f"{provider.organization.slug}/{provider.name}: {' '.join(failure.messages)}")
    return problems


def sealed_credential(provider: Provider) -> snapshot_pb2.SealedCredential | None:
    """The credential as it stands in rows and snapshots; None: there is none."""
    if not provider.has_credential:
        return None
    return snapshot_pb2.SealedCredential(
        key_version=provider.sealed_key_version,
        nonce=bytes(provider.sealed_nonce),
        ciphertext=bytes(provider.sealed_ciphertext),
        version=provider.credential_version,
    )


def provider_facts(provider: Provider) -> dict[str, Any]:
    """What the audit may say of a provider: where its credential comes from, never what it is."""
    return {
        "name": provider.name,
        "vendor": provider.vendor,
        "base_url": provider.base_url,
        "region": provider.region,
        "account": provider.account,
        "protocols": list(provider.protocols),
        "models": list(provider.served_models),
        "credential_source": str(provider.credential_source),
        "credential_reference": provider.credential_reference,
        "credential_version": provider.credential_version,
        "connect_timeout_ms": provider.connect_timeout_ms,
        "first_byte_timeout_ms": provider.first_byte_timeout_ms,
        "idle_timeout_ms": provider.idle_timeout_ms,
        "limits": asdict(limits_of(provider)),
        "external": provider.is_external,
        "is_active": provider.is_active,
    }


def _put_credential(provider: Provider, choice: CredentialChoice) -> None:
    try:
        secret = _read(provider, choice)
    except UnreadableCredential as failure:
        raise ValidationError({"credential": str(failure)}) from failure
    if choice.source in OF_THE_DEPLOYMENT:
        _check_trusted_address(provider)
    provider.credential_source = choice.source
    provider.credential_reference = choice.text if choice.source in OF_THE_DEPLOYMENT else ""
    provider.credential_version += 1
    provider.credential_replaced_at = timezone.now()
    if not secret:
        provider.sealed_key_version, provider.sealed_nonce, provider.sealed_ciphertext = 0, b"", b""
        return
    key_version, key = settings.SWITCHYARD.sealing_keys.newest
    sealed = seal_credential(
        secret,
        organization_id=provider.organization_id.hex,
        provider_id=provider.id.hex,
        version=provider.credential_version,
        key_version=key_version,
        key=key,
    )
    provider.sealed_key_version = sealed.key_version
    provider.sealed_nonce, provider.sealed_ciphertext = sealed.nonce, sealed.ciphertext


def _read(provider: Provider, choice: CredentialChoice) -> str:
    deployment, slug = settings.SWITCHYARD, provider.organization.slug
    return read_credential(
        choice,
        environment=deployment.environment,
        allowed_names=names_of(
            slug, deployment.credential_env, is_first=is_first_organization(provider.organization_id)
        ),
        allowed_folder=folder_of(slug, deployment.credential_dir),
    )


def _check_trusted_address(provider: Provider) -> None:
    """Whoever names the deployment's secret has never seen it, and must not learn it by having it sent to them."""
    known = vendors()[provider.vendor]
    if known.base_url and provider.base_url == known.base_url:
        return
    if not _checked_destination(provider.vendor, provider.base_url).is_only_private:
        raise ValidationError(
            {
                "base_url": "A credential of the deployment is sent only to the vendor's own address, or to one inside "
                "SWITCHYARD_PRIVATE_NETWORKS. Enter the credential as a value to use another address."
            }
        )


def _opened(provider: Provider) -> str | None:
    sealed = sealed_credential(provider)
    if sealed is None:
        return None
    try:
        return open_credential(
            sealed,
            organization_id=provider.organization_id.hex,
            provider_id=provider.id.hex,
            keys=settings.SWITCHYARD.sealing_keys.by_version,
        )
    except EnvelopeFailure:
        # Sealed under a key that is gone: reading it anew is the cure.
        return None


def _checked_destination(vendor: str, base_url: str) -> Destination:
    known = vendors().get(vendor)
    if known is None:
        raise ValidationError({"vendor": f"One of {', '.join(vendors())}."})
    if not base_url.strip():
        if not known.base_url:
            raise ValidationError({"base_url": f"{known.display_name} has no public address; state one."})
        # The table's own addresses need no look-up here: only the pods must be able to resolve them.
        return Destination(known.base_url, is_private=False)
    if base_url.strip().rstrip("/") == known.base_url:
        return Destination(known.base_url, is_private=False)
    try:
        return check_destination(base_url, private_networks=settings.SWITCHYARD.private_networks)
    except ForbiddenDestination as failure:
        raise ValidationError({"base_url": str(failure)}) from failure


def _put_address(provider: Provider, destination: Destination) -> None:
    if destination.is_private != provider.allows_private_address:
        provider.is_external = not destination.is_private
    provider.base_url, provider.allows_private_address = destination.base_url, destination.is_private


def limits_of(provider: Provider) -> ProviderLimits:
    """What protects a provider."""
    return ProviderLimits(
        provider.max_concurrent_requests, provider.max_requests_per_minute, provider.max_tokens_per_minute
    )


def _put_limits(provider: Provider, limits: ProviderLimits) -> None:
    problems = {
        f"limits.{name}": f"{number} is no limit. Right: a whole number from 1 to {HIGHEST_PROVIDER_LIMIT:,}; 0: none."
        for name, number in asdict(limits).items()
        if isinstance(number, bool) or not 0 <= number <= HIGHEST_PROVIDER_LIMIT
    }
    if problems:
        raise ValidationError(problems)
    provider.max_concurrent_requests = limits.concurrent_requests
    provider.max_requests_per_minute = limits.requests_per_minute
    provider.max_tokens_per_minute = limits.tokens_per_minute


def _checked_protocols(protocols: Sequence[str]) -> list[str]:
    if unknown := sorted(set(protocols) - PROTOCOLS):
        raise ValidationError({"protocols": f"Unknown: {', '.join(unknown)}. Known: {', '.join(sorted(PROTOCOLS))}."})
    return list(dict.fromkeys(protocols))


def _checked_models(models: Sequence[str]) -> list[str]:
    if isinstance(models, str) or not models or len(models) > 1000:
        raise ValidationError({"models": 'A list of 1 to 1,000 model ids or globs; ["*"] is all.'})
    if any(not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or "\x00" in name for name in models):
        raise ValidationError({"models": "Each is text of at most 200 characters."})
    return list(dict.fromkeys(name.strip() for name in models))


def _locked(provider: Provider) -> Provider:
    return (
        Provider.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(id=provider.id, organization_id=provider.organization_id)
    )


def _subject(provider: Provider) -> Subject:
    return Subject("provider", provider.id.hex, provider.name)


def _record(provider: Provider, actor: Actor, action: str, *, before: dict[str, Any] | None) -> None:
    record_change(
        organization_id=provider.organization_id,
        actor=actor,
        action=action,
        subject=_subject(provider),
        before=before,
        after=provider_facts(provider),
        shards=(ShardKind.POLICY,),
    )
