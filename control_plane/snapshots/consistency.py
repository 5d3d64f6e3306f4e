"""What must hold in a payload before it is signed. Pure; an empty answer means that it may be published."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import ID_LENGTH

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a pod could not obey: where, and what is wrong."""

    path: str
    problem: str


def check_global(shard: snapshot_pb2.GlobalShard) -> list[Finding]:
    """Organizations are named once, prices have a version of their own and hold what a price must."""
    findings = list(twice("organizations", (row.id for row in shard.organizations)))
    for row in shard.organizations:
        if row.key_buckets < 1:
            findings.append(Finding(f"organizations/{row.id}", "has no key shard"))
    findings.extend(_prices("list_prices", shard.list_prices))
    return findings


def check_policy(shard: snapshot_pb2.PolicyShard) -> list[Finding]:
    """Every name referred to exists, every route leads somewhere, every number is in range."""
    findings = [
        *twice("teams", (row.id for row in shard.teams)),
        *twice("principals", (row.id for row in shard.principals)),
        *twice("providers", (row.name for row in shard.providers)),
        *twice("models", (row.id for row in shard.models)),
        *twice("virtual_models", (row.name for row in shard.virtual_models)),
        *_prices("prices", shard.prices),
    ]
    providers = {row.id: row for row in shard.providers}
    for provider in shard.providers:
        path = f"providers/{provider.name}"
        if not provider.base_url.startswith(("https://", "http://")):
            findings.append(Finding(path, "has no address"))
        if provider.base_url.startswith("http://") and not provider.allow_private_address:
            findings.append(Finding(path, "would send its credential over plain http to a public address"))
        if not (provider.connect_timeout_ms and provider.first_byte_timeout_ms and provider.idle_timeout_ms):
            findings.append(Finding(path, "has a timeout of nothing"))
        if provider.passthrough_caller and provider.HasField("credential"):
            findings.append(Finding(path, "has a credential and passes the caller's on"))
    for model in shard.models:
        if model.provider_id not in providers:
            findings.append(Finding(f"models/{model.id}", "belongs to no provider"))
    for route in shard.virtual_models:
        path = f"virtual_models/{route.name}"
        if not route.targets:
            findings.append(Finding(path, "leads nowhere"))
        for target in route.targets:
            provider_of_target = providers.get(target.provider_id)
            if provider_of_target is None:
                findings.append(Finding(path, f"leads to provider {target.provider_id}, which is not there"))
            elif not any(fnmatchcase(target.model, glob) for glob in provider_of_target.models):
                findings.append(Finding(path, f"{provider_of_target.name} does not serve {target.model}"))
    if shard.max_stale_ms < 0 and shard.max_stale_ms != -1:
        findings.append(Finding("max_stale_ms", "is negative"))
    return findings


def check_keys(
    shards: Iterable[snapshot_pb2.KeyShard], principal_ids: Collection[str], team_ids: Collection[str]
) -> list[Finding]:
    """Keys are complete, there once, and belong to somebody and a team."""
    findings: list[Finding] = []
    seen: set[str] = set()
    # A hundred thousand keys are looked at while a change waits: each field is read once, words are made when needed.
    for shard in shards:
        for key in shard.keys:
            key_id = key.id
            if key_id in seen:
                findings.append(Finding(f"keys/{key_id}", "is there more than once"))
            seen.add(key_id)
            if len(key_id) != ID_LENGTH or len(key.digest) != DIGEST_BYTES or key.pepper_version < 1:
                findings.append(Finding(f"keys/{key.prefix}", "has no well-formed id, digest and pepper version"))
            if key.principal_id not in principal_ids:
                findings.append(Finding(f"keys/{key.prefix}", "belongs to nobody"))
            if key.team_id not in team_ids:
                findings.append(Finding(f"keys/{key.prefix}", "is charged to no team"))
    return findings


def check_deny(shard: snapshot_pb2.DenyShard) -> list[Finding]:
    """A denial is never held back: what cannot be read would be worse, so only its form is checked."""
    return [Finding(f"deny/{row.key_id}", "names no key") for row in shard.keys if len(row.key_id) != ID_LENGTH]


def _prices(path: str, rows: Iterable[snapshot_pb2.PriceRow]) -> Iterator[Finding]:
    rows = list(rows)
    yield from twice(path, (row.id for row in rows))
    for row in rows:
        if not row.id or not row.model or not row.rates.HasField("input") or not row.rates.HasField("output"):
            yield Finding(f"{path}/{row.id or row.model}", "lacks a version, a model or a rate")
        starts = [band.from_prompt_tokens for band in row.bands]
        if starts != sorted(set(starts)):
            yield Finding(f"{path}/{row.id}", "has bands that do not ascend")


def twice(path: str, names: Iterable[str]) -> Iterator[Finding]:
    """Find names that stand more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield Finding(f"{path}/{name}", f"is there {count} times")
