"""A control plane of a few lines: signs one organization's shards, delivers them, takes usage and counts it.

It lets a pod be measured and tried as a process without PostgreSQL and Celery, over the real gRPC contract.
"""

import asyncio
import base64
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import grpc

from switchyard_contract import virtual_key
from switchyard_contract.envelope import seal_credential, seal_key_material
from switchyard_contract.seal import ShardVersion, SigningKey, seal, seal_beacon
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc, snapshot_pb2, usage_pb2, usage_pb2_grpc

DEPLOYMENT = "bench"


@dataclass(frozen=True, slots=True)
class Supplier:
    """One provider account for the stand-in's organization."""

    name: str
    vendor: str
    base_url: str
    models: tuple[str, ...] = ("*",)


@dataclass(slots=True)
class Installation:
    """Secrets and shards of a deployment that lives as long as this process."""

    suppliers: tuple[Supplier, ...]
    prices: tuple[snapshot_pb2.PriceRow, ...] = ()
    organization_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    signing_key: SigningKey = field(default_factory=lambda: SigningKey("bench-1", os.urandom(32)))
    pepper: bytes = field(default_factory=lambda: os.urandom(32))
    sealing_key: bytes = field(default_factory=lambda: os.urandom(32))
    pod_token: str = field(default_factory=lambda: virtual_key.mint(virtual_key.KeyKind.POD).text)
    key: virtual_key.KeyToken = field(default_factory=lambda: virtual_key.mint(virtual_key.KeyKind.PERSONAL))
    other_keys: int = 0

    def shards(self) -> dict[str, snapshot_pb2.SealedShard]:
        """Everything a pod must hold, sealed as version 1."""
        organization, team, user = self.organization_id, uuid.uuid4().hex, uuid.uuid4().hex
        providers = [self._provider(supplier) for supplier in self.suppliers]
        payloads: Mapping[
            str, snapshot_pb2.GlobalShard | snapshot_pb2.PolicyShard | snapshot_pb2.KeyShard | snapshot_pb2.DenyShard
        ] = {
            "global": snapshot_pb2.GlobalShard(
                organizations=[
                    snapshot_pb2.OrganizationEntry(
                        id=organization, name="Bench", state=snapshot_pb2.ORGANIZATION_STATE_KNOWN, key_buckets=1
                    )
                ],
                list_prices=self.prices,
            ),
            f"org/{organization}/policy": snapshot_pb2.PolicyShard(
                organization_id=organization,
                name="Bench",
                teams=[snapshot_pb2.Team(id=team, name="platform")],
                principals=[
                    snapshot_pb2.Principal(
                        id=user, kind=snapshot_pb2.PRINCIPAL_KIND_USER, name="ada@example.com", active=True
                    )
                ],
                providers=providers,
                max_stale_ms=-1,
            ),
            f"org/{organization}/keys/0": snapshot_pb2.KeyShard(
                keys=[
                    self._key(key, team, user)
                    for key in (
                        self.key,
                        *(virtual_key.mint(virtual_key.KeyKind.PERSONAL) for _ in range(self.other_keys)),
                    )
                ]
            ),
            f"org/{organization}/deny": snapshot_pb2.DenyShard(),
        }
        return {
            name: seal(
                payload.SerializeToString(),
                deployment=DEPLOYMENT,
                shard=name,
                at=ShardVersion(1, 1),
                issued_at_ms=time.time_ns() // 1_000_000,
                key=self.signing_key,
            )
            for name, payload in payloads.items()
        }

    def pod_environment(self, grpc_port: int, counters_url: str) -> dict[str, str]:
        """What a pod of this installation is started with, besides its own ports and folder."""
        public = base64.b64encode(self.signing_key.public_bytes).decode()
        return {
            "SWITCHYARD_DEPLOYMENT_ID": DEPLOYMENT,
            "SWITCHYARD_VERIFY_KEYS": f"{self.signing_key.key_id}:{public}",
            "SWITCHYARD_POD_TOKEN": self.pod_token,
            "SWITCHYARD_CONTROL_GRPC": f"127.0.0.1:{grpc_port}",
            "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
            "COUNTERS_URL": counters_url,
        }

    def _provider(self, supplier: Supplier) -> snapshot_pb2.Provider:
        provider_id = uuid.uuid4().hex
        return snapshot_pb2.Provider(
            id=provider_id,
            name=supplier.name,
            vendor=supplier.vendor,
            base_url=supplier.base_url,
            models=supplier.models,
            allow_private_address=True,
            credential=seal_credential(
                "upstream-secret",
                organization_id=self.organization_id,
                provider_id=provider_id,
                version=1,
                key_version=1,
                key=self.sealing_key,
            ),
        )

    def _key(self, key: virtual_key.KeyToken, team: str, user: str) -> snapshot_pb2.VirtualKey:
        return snapshot_pb2.VirtualKey(
            id=key.id,
            digest=virtual_key.digest(key, self.pepper),
            pepper_version=1,
            principal_id=user,
            team_id=team,
            name="bench",
            prefix=key.prefix,
        )


class StandIn(delivery_pb2_grpc.SnapshotDeliveryServicer, usage_pb2_grpc.UsageIntakeServicer):
    """Both services. `events` counts what was received; `nacks` keeps what pods refused."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._shards = installation.shards()
        self.events = 0
        self.nacks: list[delivery_pb2.Nack] = []

    async def Subscribe(
        self, messages: AsyncIterator[delivery_pb2.PodMessage], _context: object
    ) -> AsyncIterator[delivery_pb2.ControlMessage]:
        first = await anext(messages)
        material = delivery_pb2.KeyMaterial(
            peppers={1: self._installation.pepper}, sealing_keys={1: self._installation.sealing_key}
        )
        yield delivery_pb2.ControlMessage(keys=seal_key_material(material, first.hello.x25519_public_key))
        held = {have.shard for have in first.hello.have}
        for name, sealed in self._shards.items():
            if name not in held:
                yield delivery_pb2.ControlMessage(nonce=name.encode(), update=delivery_pb2.Update(shard=sealed))
        listening = asyncio.create_task(self._listen(messages))
        try:
            sequence = 0
            while not listening.done():
                sequence += 1
                body = delivery_pb2.BeaconBody(
                    deployment=DEPLOYMENT, sequence=sequence, issued_at_ms=time.time_ns() // 1_000_000, live_pods=1
                )
                yield delivery_pb2.ControlMessage(beacon=seal_beacon(body, self._installation.signing_key))
                await asyncio.sleep(5)
        finally:
            listening.cancel()

    async def _listen(self, messages: AsyncIterator[delivery_pb2.PodMessage]) -> None:
        async for message in messages:
            if message.WhichOneof("message") == "nack":
                self.nacks.append(message.nack)

    async def Report(
        self, batches: AsyncIterator[usage_pb2.UsageBatch], _context: object
    ) -> AsyncIterator[usage_pb2.UsageReceipt]:
        async for batch in batches:
            self.events += len(batch.events)
            if batch.events:
                yield usage_pb2.UsageReceipt(boot_id=batch.boot_id, stored_through=batch.events[-1].sequence)


async def start_stand_in(installation: Installation) -> tuple[grpc.aio.Server, StandIn, int]:
    """Start the services on a free loopback port; give back server, servicer and port."""
    server = grpc.aio.server()
    stand_in = StandIn(installation)
    delivery_pb2_grpc.add_SnapshotDeliveryServicer_to_server(stand_in, server)  # type: ignore[no-untyped-call]
    usage_pb2_grpc.add_UsageIntakeServicer_to_server(stand_in, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, stand_in, port


__all__ = ["DEPLOYMENT", "Installation", "StandIn", "Supplier", "start_stand_in"]
