"""The books of a deployment that lives as long as a test: secrets, one organization, and the shards made of both."""

import base64
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from switchyard_contract import virtual_key
from switchyard_contract.envelope import seal_credential
from switchyard_contract.seal import ShardVersion, SigningKey, seal
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

DEPLOYMENT = "fleet-under-test"
UPSTREAM_SECRET = "upstream-secret-of-the-account"
TEAM_NAME, USER_NAME = "platform", "ada@example.com"

Payload = snapshot_pb2.GlobalShard | snapshot_pb2.PolicyShard | snapshot_pb2.KeyShard | snapshot_pb2.DenyShard


def new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Supplier:
    """One provider account of the organization."""

    name: str
    vendor: str
    base_url: str
    models: tuple[str, ...] = ("*",)
    id: str = field(default_factory=new_id)
    account: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()
    passes_caller: bool = False
    first_byte_timeout_ms: int = 0
    idle_timeout_ms: int = 0
    secret: str = UPSTREAM_SECRET


@dataclass(frozen=True, slots=True)
class Books:
    """What the organization has besides its keys. aliases: virtual model to (provider name, model)."""

    suppliers: tuple[Supplier, ...]
    aliases: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    catalogue: tuple[tuple[str, str], ...] = ()
    """(provider name, model) of the models that are listed."""
    prices: tuple[snapshot_pb2.PriceRow, ...] = ()
    contact: str = ""
    max_stale_ms: int = -1
    is_disabled: bool = False
    rules: snapshot_pb2.PolicyShard = field(default_factory=snapshot_pb2.PolicyShard)
    """Rules, facts about models, further people and teams: put behind everything else of the policy."""


class Installation:
    """Secrets of one deployment and the present content of its organization's shards."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.organization_id, self.team_id, self.user_id = new_id(), new_id(), new_id()
        self.signing_key = SigningKey("test-1", os.urandom(32))
        self.pepper, self.sealing_key = os.urandom(32), os.urandom(32)
        self.pod_token = virtual_key.mint(virtual_key.KeyKind.POD).text
        self.keys: list[snapshot_pb2.VirtualKey] = []
        self.revocations: list[snapshot_pb2.Revocation] = []
        self.denied_principals: list[str] = []

    def mint(
        self,
        *,
        name: str = "test",
        models: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        expires_at_ms: int = 0,
        principal_id: str = "",
        team_id: str = "",
    ) -> virtual_key.KeyToken:
        """Add a key to the books; it is known to pods when the shard has been published."""
        token = virtual_key.mint(virtual_key.KeyKind.PERSONAL)
        self.keys.append(
            snapshot_pb2.VirtualKey(
                id=token.id,
                digest=virtual_key.digest(token, self.pepper),
                pepper_version=1,
                principal_id=principal_id or self.user_id,
                team_id=team_id or self.team_id,
                models=models,
                tags=tags,
                expires_at_ms=expires_at_ms,
                name=name,
                prefix=token.prefix,
            )
        )
        return token

    def revoke(self, key: virtual_key.KeyToken, *, cut: bool = True) -> None:
        self.revocations.append(
            snapshot_pb2.Revocation(key_id=key.id, revoked_at_ms=time.time_ns() // 1_000_000, cut_streams=cut)
        )

    def shard(self, part: str) -> str:
        """The full name of a shard: "policy" is "org/<id>/policy"."""
        return part if part == "global" else f"org/{self.organization_id}/{part}"

    def payload(self, part: str) -> Payload:
        """What a shard says right now: global, policy, keys/0 or deny."""
        match part:
            case "global":
                return self._global()
            case "policy":
                return self._policy()
            case "keys/0":
                return snapshot_pb2.KeyShard(keys=self.keys)
            case "deny":
                return snapshot_pb2.DenyShard(keys=self.revocations, principal_ids=self.denied_principals)
            case _:
                raise KeyError(part)

    def seal(
        self, shard: str, payload: Payload, at: ShardVersion, *, key: SigningKey | None = None
    ) -> snapshot_pb2.SealedShard:
        return seal(
            payload.SerializeToString(),
            deployment=DEPLOYMENT,
            shard=shard,
            at=at,
            issued_at_ms=time.time_ns() // 1_000_000,
            key=key or self.signing_key,
        )

    def key_material(self) -> delivery_pb2.KeyMaterial:
        return delivery_pb2.KeyMaterial(peppers={1: self.pepper}, sealing_keys={1: self.sealing_key})

    def pod_environment(self, control_address: str, counters_url: str) -> dict[str, str]:
        """What a pod of this deployment is started with, besides its own ports and folder."""
        public = base64.b64encode(self.signing_key.public_bytes).decode()
        return {
            "SWITCHYARD_DEPLOYMENT_ID": DEPLOYMENT,
            "SWITCHYARD_VERIFY_KEYS": f"{self.signing_key.key_id}:{public}",
            "SWITCHYARD_POD_TOKEN": self.pod_token,
            "SWITCHYARD_CONTROL_GRPC": control_address,
            "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
            "COUNTERS_URL": counters_url,
        }

    def supplier(self, name: str) -> Supplier:
        return next(supplier for supplier in self.books.suppliers if supplier.name == name)

    def change(self, **fields: object) -> None:
        """Replace fields of the books; publish the policy (or global) shard afterwards."""
        self.books = replace(self.books, **fields)  # type: ignore[arg-type]

    def _global(self) -> snapshot_pb2.GlobalShard:
        state = (
            snapshot_pb2.ORGANIZATION_STATE_DISABLED
            if self.books.is_disabled
            else snapshot_pb2.ORGANIZATION_STATE_KNOWN
        )
        entry = snapshot_pb2.OrganizationEntry(id=self.organization_id, name="Fleet", state=state, key_buckets=1)
        return snapshot_pb2.GlobalShard(organizations=[entry], list_prices=self.books.prices)

    def _policy(self) -> snapshot_pb2.PolicyShard:
        books = self.books
        kind = snapshot_pb2.PRINCIPAL_KIND_USER
        policy = snapshot_pb2.PolicyShard(
            organization_id=self.organization_id,
            name="Fleet",
            teams=[snapshot_pb2.Team(id=self.team_id, name=TEAM_NAME, tags={"cost": "c-1", "from": "team"})],
            principals=[snapshot_pb2.Principal(id=self.user_id, kind=kind, name=USER_NAME, active=True)],
            providers=[self._provider(supplier) for supplier in books.suppliers],
            models=[
                snapshot_pb2.Model(
                    id=f"{provider}/{model}",
                    provider_id=self.supplier(provider).id,
                    model=model,
                    display_name=model.title(),
                    context_tokens=200_000,
                    max_output_tokens=64_000,
                    created_at_ms=1_760_000_000_000,
                )
                for provider, model in books.catalogue
            ],
            virtual_models=[
                snapshot_pb2.VirtualModel(
                    name=name, targets=[snapshot_pb2.Target(provider_id=self.supplier(provider).id, model=model)]
                )
                for name, (provider, model) in books.aliases.items()
            ],
            max_stale_ms=books.max_stale_ms,
            contact=books.contact,
        )
        policy.MergeFrom(books.rules)
        return policy

    def _provider(self, supplier: Supplier) -> snapshot_pb2.Provider:
        provider = snapshot_pb2.Provider(
            id=supplier.id,
            name=supplier.name,
            vendor=supplier.vendor,
            base_url=supplier.base_url,
            region=supplier.region,
            account=supplier.account,
            models=supplier.models,
            protocols=supplier.protocols,
            passthrough_caller=supplier.passes_caller,
            first_byte_timeout_ms=supplier.first_byte_timeout_ms,
            idle_timeout_ms=supplier.idle_timeout_ms,
            allow_private_address=True,
        )
        if not supplier.passes_caller:
            sealed = seal_credential(
                supplier.secret,
                organization_id=self.organization_id,
                provider_id=supplier.id,
                version=1,
                key_version=1,
                key=self.sealing_key,
            )
            provider.credential.CopyFrom(sealed)
        return provider
