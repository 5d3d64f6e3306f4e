"""Where events go that were acknowledged and not believed: kept whole, so nothing is lost by doubting them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db import connection

from control_plane.usage.judgement import Oddity
from switchyard_contract.v1 import usage_pb2

_KEEP = """
INSERT INTO usage_quarantinedevent
    (digest, reason, detail, pod_id, boot_id, sequence, payload, organization_id, quarantined_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class OddEvent:
    """An event that is not believed, and where it came from."""

    pod_id: str
    boot_id: bytes
    sequence: int
    event: usage_pb2.UsageEvent
    oddity: Oddity


def events_keep(odd: Iterable[OddEvent], *, at: datetime) -> None:
    """Keep odd events aside, each once however often it comes. In the transaction that books the others."""
    with connection.cursor() as cursor:
        cursor.executemany(_KEEP, [(*_values_of(one), at) for one in odd])


def _values_of(odd: OddEvent) -> tuple[Any, ...]:
    payload = odd.event.SerializeToString(deterministic=True)
    digest = blake2b(digest_size=16)
    for part in (odd.pod_id.encode(), odd.boot_id, str(odd.sequence).encode(), payload):
        digest.update(len(part).to_bytes(4, "big") + part)
    try:
        organization_id = UUID(odd.event.organization_id)
    except ValueError:
        organization_id = None
    oddity = odd.oddity
    return (
        *(UUID(bytes=digest.digest()), oddity.reason, oddity.detail[:500].replace("\x00", "\ufffd")),
        *(odd.pod_id, odd.boot_id, odd.sequence, payload, organization_id),
    )
