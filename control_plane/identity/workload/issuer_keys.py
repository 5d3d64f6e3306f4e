"""The public keys of issuers: found by discovery, kept in the database, read again when old or when one is missing."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.utils import timezone

from control_plane.identity.failures import ProviderUnreachable
from control_plane.identity.outbound import fetch_text
from control_plane.identity.workload.models import IssuerKeys
from control_plane.identity.workload.tokens import BadKeys, checked_keys
from control_plane.organizations.models import Organization

log = structlog.get_logger(__name__)

FRESH_FOR = timedelta(hours=1)
USABLE_FOR = timedelta(hours=24)
"""So long keys serve while the issuer is out of reach: its outage should not be everybody's."""
TRIED_EVERY = timedelta(seconds=30)
"""Tokens with made-up key ids must not make us ask more often than this."""


class KeysUnknown(Exception):
    """The issuer's keys cannot be had; the message says why."""


def issuer_keys(organization: Organization, issuer: str, *, wants_newer_than: datetime | None = None) -> IssuerKeys:
    """The keys of an issuer. wants_newer_than: those read until then lacked one. Raises KeysUnknown."""
    row, _ = IssuerKeys.objects.get_or_create(organization=organization, issuer=issuer)
    now = timezone.now()
    is_fresh = row.read_at is not None and now - row.read_at < FRESH_FOR
    is_asked_anew = wants_newer_than is not None and (row.read_at is None or row.read_at <= wants_newer_than)
    may_try = row.tried_at is None or now - row.tried_at >= TRIED_EVERY
    if (not is_fresh or is_asked_anew) and may_try:
        row = _read(row, now)
    if row.keys is None or row.read_at is None or now - row.read_at > USABLE_FOR:
        raise KeysUnknown(row.problem or "the issuer's keys could not be read")
    return row


def _read(row: IssuerKeys, now: datetime) -> IssuerKeys:
    row.tried_at = now
    try:
        row.keys = discovered_keys(row.issuer)
    except (ProviderUnreachable, BadKeys) as failure:
        row.problem = str(failure)[:300]
        row.save(update_fields=["tried_at", "problem"])
        log.warning("issuer keys not read", issuer=row.issuer, why=row.problem)
    else:
        row.read_at, row.problem = now, ""
        row.save(update_fields=["keys", "read_at", "tried_at", "problem"])
    return row


def discovered_keys(issuer: str) -> dict[str, Any]:
    """Read the discovery document, then the keys it names. Raises ProviderUnreachable and BadKeys."""
    document = _json(f"{issuer.rstrip('/')}/.well-known/openid-configuration", "The issuer's discovery document")
    if document.get("issuer") != issuer:
        raise BadKeys("The issuer's discovery document is another issuer's.")
    address = document.get("jwks_uri")
    if not isinstance(address, str) or urlsplit(address).scheme not in ("https", "http"):
        raise BadKeys("The issuer's discovery document names no keys (jwks_uri).")
    return checked_keys(_json(address, "The issuer's keys"))


def _json(address: str, what: str) -> Mapping[str, Any]:
    try:
        found = json.loads(fetch_text(address, what))
    except ValueError as failure:
        raise BadKeys(f"{what} could not be read: it is no JSON.") from failure
    if not isinstance(found, dict):
        raise BadKeys(f"{what} could not be read: it is no object.")
    return found
