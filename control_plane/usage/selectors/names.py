"""What people call the ids on usage, as they are called now."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from control_plane.accounts.models import User
from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.usage.models import Pseudonym


@dataclass(frozen=True, slots=True)
class Names:
    """Names by id; what is gone or another organization's is absent."""

    users: dict[UUID, str] = field(default_factory=dict)
    service_accounts: dict[UUID, str] = field(default_factory=dict)
    teams: dict[UUID, str] = field(default_factory=dict)
    providers: dict[UUID, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def principal(self, principal_id: UUID | None) -> str | None:
        """A person's e-mail or a service account's name."""
        if principal_id is None:
            return None
        return self.users.get(principal_id) or self.service_accounts.get(principal_id)


def names_of(
    organization_id: UUID,
    *,
    principal_ids: Iterable[UUID | None] = (),
    team_ids: Iterable[UUID | None] = (),
    provider_ids: Iterable[UUID | None] = (),
    key_ids: Iterable[str] = (),
) -> Names:
    """Look names up, with at most one query per kind."""
    principals = {found for found in principal_ids if found}
    teams = {found for found in team_ids if found}
    providers = {found for found in provider_ids if found}
    keys = {found for found in key_ids if found}
    users = _pairs(
        User.objects.filter(id__in=principals, memberships__organization_id=organization_id), "email", principals
    )
    # A key of somebody who left still has an owner to name.
    departed = principals - users.keys()
    accounts = _pairs(ServiceAccount.objects.filter(organization_id=organization_id, id__in=departed), "name", departed)
    departed -= accounts.keys()
    users |= _pairs(
        User.objects.filter(id__in=departed, virtual_keys__organization_id=organization_id).distinct(),
        "email",
        departed,
    )
    departed -= users.keys()
    if departed:
        users |= _pairs(Pseudonym.objects.filter(organization_id=organization_id, id__in=departed), "name", departed)
    return Names(
        users,
        accounts,
        _pairs(Team.objects.filter(organization_id=organization_id, id__in=teams), "name", teams),
        _pairs(Provider.objects.filter(organization_id=organization_id, id__in=providers), "name", providers),
        _key_names(organization_id, keys),
    )


def _pairs(rows: object, name: str, wanted: set[UUID]) -> dict[UUID, str]:
    return dict(rows.values_list("id", name)) if wanted else {}  # type: ignore[attr-defined]  # a queryset of any model


def _key_names(organization_id: UUID, wanted: set[str]) -> dict[str, str]:
    if not wanted:
        return {}
    rows = VirtualKey.objects.filter(organization_id=organization_id, key_id__in=wanted)
    return dict(rows.values_list("key_id", "name"))
