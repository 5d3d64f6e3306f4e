"""Tombstones of dead keys in the counter store: the second path of a revocation, beside the deny shard.

The only thing the control plane writes there:

    rev:{<organization, 32 hex digits>}   set of key ids that must not be served
    rev:version                           raised at each change, so that a poll costs one GET
    channel switchyard:revoked            "<organization> <key id> <1 when running streams are cut, else 0>"

A store that is out of reach is logged and not fatal: the deny shard travels by gRPC anyway, and the sweep writes what
is missing. Ids that no pod can know any more are taken out by the sweep too.
"""

import functools
from collections.abc import Mapping
from uuid import UUID

import redis
import structlog
from django.db import transaction

from control_plane.keys.counter_store import open_counter_store
from control_plane.keys.selectors import dead_keys_by_organization
from control_plane.organizations.selectors import organization_ids

log = structlog.get_logger()


CHANNEL = "switchyard:revoked"
VERSION_KEY = "rev:version"


def tombstones_key(organization_id: UUID) -> str:
    """Name the set of an organization; the braces keep it in one slot of a cluster."""
    return f"rev:{{{organization_id.hex}}}"


def entomb_on_commit(organization_id: UUID, cuts: Mapping[str, bool]) -> None:
    """Write tombstones when the transaction has committed. cuts: key id to whether running streams are ended."""
    if cuts:
        transaction.on_commit(functools.partial(_entomb, organization_id, dict(cuts)))


def raise_on_commit(organization_id: UUID, key_ids: list[str]) -> None:
    """Take tombstones away when the transaction has committed: their owner is back."""
    if key_ids:
        transaction.on_commit(functools.partial(_raise, organization_id, list(key_ids)))


def tombstones_repair() -> int:
    """Make every organization's set what it must be; says how many ids were missing or too many.

    Raises redis.RedisError when the store is out of reach.
    """
    store = _store()
    repaired = 0
    # The store is read first: whatever stands there was committed before, so the rows read afterwards know of it. The
    # other way round a key revoked between the two reads would lose its tombstone.
    held_by_organization = {
        organization_id: {_text(member) for member in store.smembers(tombstones_key(organization_id))}
        for organization_id in organization_ids()
    }
    dead = dead_keys_by_organization()
    for organization_id, held in held_by_organization.items():
        cuts = dead.get(organization_id, {})
        missing, surplus = set(cuts) - held, held - set(cuts)
        if missing:
            _write(store, organization_id, {key_id: cuts[key_id] for key_id in missing})
        if surplus:
            _erase(store, organization_id, sorted(surplus))
        repaired += len(missing) + len(surplus)
    return repaired


def _entomb(organization_id: UUID, cuts: Mapping[str, bool]) -> None:
    try:
        _write(_store(), organization_id, cuts)
    except redis.RedisError as failure:
        log.warning("tombstones not written; the sweep will", keys=len(cuts), why=type(failure).__name__)


def _raise(organization_id: UUID, key_ids: list[str]) -> None:
    try:
        _erase(_store(), organization_id, key_ids)
    except redis.RedisError as failure:
        log.warning("tombstones not taken away; the sweep will", keys=len(key_ids), why=type(failure).__name__)


def _write(store: redis.Redis, organization_id: UUID, cuts: Mapping[str, bool]) -> None:
    # No MULTI across slots: each command stands for itself, and the order makes a torn write harmless.
    pipeline = store.pipeline(transaction=False)
    pipeline.sadd(tombstones_key(organization_id), *cuts)
    pipeline.incr(VERSION_KEY)
    for key_id, is_cut in cuts.items():
        pipeline.publish(CHANNEL, f"{organization_id.hex} {key_id} {int(is_cut)}")
    pipeline.execute()


def _erase(store: redis.Redis, organization_id: UUID, key_ids: list[str]) -> None:
    pipeline = store.pipeline(transaction=False)
    pipeline.srem(tombstones_key(organization_id), *key_ids)
    pipeline.incr(VERSION_KEY)
    pipeline.execute()


def _text(member: bytes | str) -> str:
    return member if isinstance(member, str) else member.decode()


@functools.cache
def _store() -> redis.Redis:
    return open_counter_store(0.5)
