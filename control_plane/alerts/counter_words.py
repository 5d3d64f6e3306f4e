"""A counter in words: whose spending a budget counted, by the names of today."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, ServiceAccount, Team
from switchyard_contract.counters import PER_METADATA, values_of


def counter_words(organization_id: UUID, per: Sequence[str], counter: str) -> str:
    """Say whose counter it is: "user ada@example.com, model claude-opus-4-8"; empty: everybody's together."""
    values = dict(zip(per, values_of(counter), strict=False))
    return ", ".join(_part(organization_id, kind, value) for kind, value in values.items() if kind != "organization")


def _part(organization_id: UUID, kind: str, value: str) -> str:
    if kind.startswith(PER_METADATA):
        return f"{kind.removeprefix(PER_METADATA)} {value or 'without a value'}"
    names: Mapping[str, str] = {"service_account": "service account"}
    name = _name(organization_id, kind, value)
    if kind == "principal":
        return name or value
    return f"{names.get(kind, kind)} {name or value or 'unknown'}"


def _name(organization_id: UUID, kind: str, value: str) -> str:
    """The name of today; empty: there is none any more, or it is no row."""
    if kind == "organization":
        return Organization.objects.filter(id=organization_id).values_list("name", flat=True).first() or ""
    if kind == "key":
        rows = VirtualKey.objects.filter(organization_id=organization_id, key_id=value)
        return rows.values_list("name", flat=True).first() or ""
    try:
        row_id = UUID(value)
    except ValueError:
        return ""
    match kind:
        case "team":
            return (
                Team.objects.filter(organization_id=organization_id, id=row_id).values_list("name", flat=True).first()
                or ""
            )
        case "provider":
            return (
                Provider.objects.filter(organization_id=organization_id, id=row_id)
                .values_list("name", flat=True)
                .first()
                or ""
            )
        case "user" | "principal" | "service_account":
            people = Membership.objects.filter(organization_id=organization_id, user_id=row_id)
            if kind != "service_account" and (email := people.values_list("user__email", flat=True).first()):
                return email
            accounts = ServiceAccount.objects.filter(organization_id=organization_id, id=row_id)
            name = accounts.values_list("name", flat=True).first() or ""
            return f"service account {name}" if name and kind == "principal" else name
        case _:
            return ""
