"""Counters in words: whose spending it is, by the names of today."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from control_plane.usage.selectors.names import Names, names_of
from switchyard_contract.counters import PER_METADATA, values_of

Of = tuple[tuple[str, ...], str]
"""What a rule counts by, and one of its counters."""


def counter_words(organization_id: UUID, counters: Iterable[tuple[Sequence[str], str]]) -> Mapping[Of, str]:
    """Say of each counter whose it is: "ada@example.com, model claude-opus-4-8"; empty: everybody's together.

    At most one query for each kind of name, however many counters.
    """
    wanted = {(tuple(per), counter) for per, counter in counters}
    ids: dict[str, set[str]] = defaultdict(set)
    for per, counter in wanted:
        for kind, value in _parts(per, counter):
            ids[kind].add(value)
    names = names_of(
        organization_id,
        principal_ids=_uuids(ids["principal"] | ids["user"] | ids["service_account"]),
        team_ids=_uuids(ids["team"]),
        provider_ids=_uuids(ids["provider"]),
        key_ids=ids["key"],
    )
    return {
        (per, counter): ", ".join(
            _part(kind, value, names) for kind, value in _parts(per, counter) if kind != "organization"
        )
        for per, counter in wanted
    }


def _parts(per: Sequence[str], counter: str) -> list[tuple[str, str]]:
    return list(zip(per, values_of(counter), strict=False))


def _part(kind: str, value: str, names: Names) -> str:
    shown = value or "unknown"
    if kind.startswith(PER_METADATA):
        return f"{kind.removeprefix(PER_METADATA)} {value or 'without a value'}"
    match kind:
        case "principal" | "user" | "service_account":
            row_id = _uuid(value)
            if row_id in names.service_accounts:
                return f"service account {names.service_accounts[row_id]}"
            return (names.users.get(row_id) if row_id else None) or f"{kind.replace('_', ' ')} {shown}"
        case "team":
            row_id = _uuid(value)
            return f"team {names.teams.get(row_id, shown) if row_id else shown}"
        case "provider":
            row_id = _uuid(value)
            return f"provider {names.providers.get(row_id, shown) if row_id else shown}"
        case "key":
            return f"key {names.keys.get(value, shown)}"
        case _:
            return f"{kind} {shown}"


def _uuids(texts: Iterable[str]) -> list[UUID]:
    return [found for text in texts if (found := _uuid(text)) is not None]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
