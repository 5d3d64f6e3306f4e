"""The policy in force. A shard is verified, parsed and tried out aside; only then one pointer moves.

`judge` decides without changing anything, so it may run in a thread; `adopt` changes, on the loop. Whatever is wrong
with an offer, the shard in force stays and the answer says why.
Source: docs/decisions/0038-snapshots-in-the-pod.md
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

import structlog
from google.protobuf.message import Message

from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.shards import (
    GLOBAL,
    HeldShards,
    heads_of,
    organizations_of,
    parse_shard,
    read_header,
    required_shards,
)
from switchyard_contract.audit_head import SignedHead
from switchyard_contract.seal import DigestMismatch, OpenedShard, SealFailure, ShardVersion, VerifyKeys, open_sealed
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

log = structlog.get_logger()

P = TypeVar("P")
Build = Callable[[HeldShards, P | None], P]
"""Joins shards into a policy, using unchanged parts of the one before; raises ValueError when they make none."""

MAX_DETAIL_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Held:
    """A verified shard in force."""

    at: ShardVersion
    payload_sha256: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Accepted(Generic[P]):
    """An offer that may be adopted. policy None: it is in force already."""

    shard: str
    held: Held
    policy: P | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An offer that is not obeyed; becomes a NACK."""

    shard: str
    offered: ShardVersion
    running: ShardVersion
    code: delivery_pb2.NackCode
    detail: str


@dataclass(frozen=True, slots=True)
class Denied:
    """What became denied with one change: for whoever has streams open."""

    key_ids: frozenset[str]
    cut_key_ids: frozenset[str]
    """Those of them whose running streams are to be ended."""
    principal_ids: frozenset[str]


class Keeper(Generic[P]):
    """Holds the shards and the policy made of them."""

    def __init__(self, *, deployment: str, keys: VerifyKeys, build: Build[P], freshness: Freshness) -> None:
        self._deployment, self._keys, self._build = deployment, keys, build
        self._held: dict[str, Held] = {}
        self._quarantined: frozenset[tuple[str, ShardVersion]] = frozenset()
        self._policy: P = build({}, None)
        self._listeners: list[Callable[[Denied], object]] = []
        self.freshness = freshness
        self.heads_match: bool | None = None
        """Whether the newest beacon's heads are what is held; None: no beacon yet."""

    @property
    def policy(self) -> P:
        """The policy in force; an exchange takes it once and keeps it to its end."""
        return self._policy

    @property
    def is_ready(self) -> bool:
        """Whether a verified list of organizations is held; without it nobody can be known or unknown."""
        return GLOBAL in self._held

    @property
    def missing(self) -> frozenset[str]:
        """Shards that are promised and not held; while there are any, unknown keys are pending and not wrong."""
        return self._required() - self._held.keys()

    @property
    def organizations(self) -> tuple[str, ...]:
        listing = self._listing()
        return organizations_of(listing) if listing is not None else ()

    @property
    def audit_heads(self) -> tuple[SignedHead, ...]:
        """Where the audit chains stood when the list in force was made: the pod is a witness to it."""
        listing = self._listing()
        return () if listing is None else heads_of(listing, self._deployment)

    def have(self) -> list[delivery_pb2.Have]:
        return [
            delivery_pb2.Have(
                shard=shard, epoch=held.at.epoch, version=held.at.version, payload_sha256=held.payload_sha256
            )
            for shard, held in sorted(self._held.items())
        ]

    def version_of(self, shard: str) -> ShardVersion | None:
        held = self._held.get(shard)
        return held.at if held else None

    def on_denied(self, listener: Callable[[Denied], object]) -> None:
        """Tell a listener of every key or principal that becomes denied, right after the swap."""
        self._listeners.append(listener)

    def quarantine(self, versions: Iterable[tuple[str, ShardVersion]]) -> None:
        """Versions that are refused unseen: this pod died of them twice."""
        self._quarantined = frozenset(versions)

    # Taking over.

    def judge(self, sealed: snapshot_pb2.SealedShard) -> Accepted[P] | Rejected:
        """Verify, parse and try out an offer; changes nothing."""
        shard, offered = "", ShardVersion(0, 0)
        try:
            header = read_header(sealed)
            shard, offered = header.shard, ShardVersion(header.epoch, header.version)
            opened = open_sealed(
                sealed, deployment=self._deployment, keys=self._keys, held=self.version_of(header.shard)
            )
            return self._try_out(opened)
        except SealFailure as failure:
            return self._reject(shard, offered, failure.code, str(failure))
        except ValueError as failure:
            return self._reject(shard, offered, delivery_pb2.NACK_CODE_INVALID, str(failure))
        except Exception as failure:  # A process edge: no content, however odd, may take a serving pod down.
            log.exception("a snapshot broke the reader", shard=shard, version=offered.version)
            return self._reject(shard, offered, delivery_pb2.NACK_CODE_INVALID, f"broke the reader: {failure!r}")

    def adopt(self, accepted: Accepted[P]) -> None:
        """Put a judged offer in force. Nothing may have been adopted between the two."""
        if accepted.policy is None:
            return
        before = self._denied_by(accepted.shard)
        self._held[accepted.shard] = accepted.held
        self._policy = accepted.policy
        self._tell(before, self._denied_by(accepted.shard))

    def restore(self, shelved: Mapping[str, list[OpenedShard]]) -> list[str]:
        """Start from the shelf: per shard the verified versions, newest first. Gives what had to be left out.

        All newest ones together are tried first; only if they make no policy the shards are added one by one, each in
        the newest version that fits.
        """
        newest = {shard: held for shard, versions in shelved.items() if (held := _first_readable(versions))}
        try:
            self._policy = self._build(_as_input(newest), None)
            self._held = newest
        except ValueError:
            for shard in sorted(shelved, key=lambda name: (name != GLOBAL, name)):
                self._restore_one(shelved[shard])
        return sorted(shelved.keys() - self._held.keys())

    def forget(self, shard: str) -> bool:
        """Let go of a shard that the signed list no longer has; False: it is still promised, or unknown."""
        if shard not in self._held or self._listing() is None or shard in self._required():
            return False
        rest = {name: held for name, held in self._held.items() if name != shard}
        try:
            policy = self._build(_as_input(rest), self._policy)
        except ValueError as failure:
            log.warning("shard not forgotten", shard=shard, why=str(failure))
            return False
        self._held, self._policy = rest, policy
        return True

    def take_beacon(self, body: delivery_pb2.BeaconBody) -> bool:
        """Note a verified sign of life; False: an old one, told again."""
        if not self.freshness.hear(body.issued_at_ms):
            return False
        self.heads_match = body.shards_sha256 == self._heads_sha256()
        return True

    def _try_out(self, opened: OpenedShard) -> Accepted[P] | Rejected:
        current = self._held.get(opened.shard)
        if current is not None and current.at == opened.at:
            if current.payload_sha256 != opened.payload_sha256:
                raise DigestMismatch(f"{opened.shard}: another content under a version that is held")
            return Accepted(opened.shard, current, None)
        if (opened.shard, opened.at) in self._quarantined:
            return self._reject(
                opened.shard,
                opened.at,
                delivery_pb2.NACK_CODE_CRASHED,
                "quarantined: this pod ended twice while it took this version over",
            )
        held = Held(opened.at, opened.payload_sha256, parse_shard(opened.shard, opened.payload))
        candidate = {**self._held, opened.shard: held}
        return Accepted(opened.shard, held, self._build(_as_input(candidate), self._policy))

    def _restore_one(self, versions: list[OpenedShard]) -> None:
        for opened in versions:
            try:
                accepted = self._try_out(opened)
            except (ValueError, SealFailure) as failure:
                log.warning("shelved version left out", shard=opened.shard, why=str(failure))
                continue
            if isinstance(accepted, Accepted):
                self.adopt(accepted)
                return

    def _reject(self, shard: str, offered: ShardVersion, code: delivery_pb2.NackCode, why: str) -> Rejected:
        running = self.version_of(shard) or ShardVersion(0, 0)
        return Rejected(shard[:200], offered, running, code, why[:MAX_DETAIL_CHARACTERS])

    def _listing(self) -> snapshot_pb2.GlobalShard | None:
        held = self._held.get(GLOBAL)
        return held.message if held and isinstance(held.message, snapshot_pb2.GlobalShard) else None

    def _required(self) -> frozenset[str]:
        listing = self._listing()
        return required_shards(listing) if listing is not None else frozenset({GLOBAL})

    def _heads_sha256(self) -> bytes:
        lines = sorted(f"{shard} {held.at.epoch} {held.at.version}\n" for shard, held in self._held.items())
        return sha256("".join(lines).encode()).digest()

    def _denied_by(self, shard: str) -> Denied:
        held = self._held.get(shard)
        if held is None or not isinstance(held.message, snapshot_pb2.DenyShard):
            return Denied(frozenset(), frozenset(), frozenset())
        return Denied(
            frozenset(each.key_id for each in held.message.keys),
            frozenset(each.key_id for each in held.message.keys if each.cut_streams),
            frozenset(held.message.principal_ids),
        )

    def _tell(self, before: Denied, after: Denied) -> None:
        news = Denied(
            after.key_ids - before.key_ids,
            after.cut_key_ids - before.cut_key_ids,
            after.principal_ids - before.principal_ids,
        )
        if news.key_ids or news.cut_key_ids or news.principal_ids:
            for listener in self._listeners:
                listener(news)


def _as_input(held: Mapping[str, Held]) -> HeldShards:
    return {shard: (each.at, each.message) for shard, each in held.items()}


def _first_readable(versions: list[OpenedShard]) -> Held | None:
    for opened in versions:
        try:
            return Held(opened.at, opened.payload_sha256, parse_shard(opened.shard, opened.payload))
        except SealFailure as failure:
            log.warning("shelved version left out", shard=opened.shard, why=str(failure))
    return None
