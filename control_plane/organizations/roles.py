"""Who may do what: the six roles, everything that can be done, and the one table between them.

`can()` is the only place where a right is decided; the console, the REST API, the command line and the docs
(docs/reference/roles.md is printed from TABLE) all read the same rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from uuid import UUID

from django.db import models


class Role(models.TextChoices):
    """A person's role in one organization, most powerful first."""

    OWNER = "owner"
    ADMIN = "admin"
    FINANCE = "finance"
    AUDITOR = "auditor"
    TEAM_LEAD = "team_lead", "team lead"
    MEMBER = "member"


class Reach(IntEnum):
    """How far a right goes. Each includes the ones before it."""

    NONE = 0
    OWN = 1
    """What belongs to the person: own keys, own usage."""
    TEAM = 2
    """What belongs to the teams this person leads, besides the own."""
    ALL = 3
    """Everything in the organization."""


class Permission(StrEnum):
    """One thing that can be done; `<object>.<verb>`. These are also the scopes of API tokens."""

    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_MANAGE = "organization.manage"
    MEMBERS_READ = "members.read"
    MEMBERS_MANAGE = "members.manage"
    OWNERS_MANAGE = "owners.manage"
    TEAMS_READ = "teams.read"
    TEAMS_MANAGE = "teams.manage"
    TEAM_MEMBERS_MANAGE = "team_members.manage"
    SERVICE_ACCOUNTS_READ = "service_accounts.read"
    SERVICE_ACCOUNTS_MANAGE = "service_accounts.manage"
    KEYS_READ = "keys.read"
    KEYS_MANAGE = "keys.manage"
    SERVICE_KEYS_MINT = "service_keys.mint"
    TOKENS_MANAGE = "tokens.manage"
    PROVIDERS_READ = "providers.read"
    PROVIDERS_MANAGE = "providers.manage"
    MODELS_READ = "models.read"
    PRICES_MANAGE = "prices.manage"
    POLICY_READ = "policy.read"
    POLICY_MANAGE = "policy.manage"
    RULES_READ = "rules.read"
    BUDGETS_READ = "budgets.read"
    BUDGETS_MANAGE = "budgets.manage"
    BUDGET_REQUESTS_MAKE = "budget_requests.make"
    USAGE_READ = "usage.read"
    EXCHANGES_READ = "exchanges.read"
    FLEET_READ = "fleet.read"
    AUDIT_READ = "audit.read"
    SIGN_IN_READ = "sign_in.read"
    SIGN_IN_MANAGE = "sign_in.manage"
    ROLLOUT_READ = "rollout.read"


class Delegation(StrEnum):
    """What an organization may let its team leads do for their own teams."""

    SET_BUDGETS = "set_budgets"
    MINT_SERVICE_KEYS = "mint_service_keys"
    ADD_MEMBERS = "add_members"


_N, _O, _T, _A = Reach.NONE, Reach.OWN, Reach.TEAM, Reach.ALL
_P = Permission

TABLE: Mapping[Permission, tuple[Reach, Reach, Reach, Reach, Reach, Reach]] = {
    #                              owner admin finance auditor lead member
    _P.ORGANIZATION_READ: (_A, _A, _A, _A, _A, _A),
    _P.ORGANIZATION_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.MEMBERS_READ: (_A, _A, _A, _A, _T, _O),
    _P.MEMBERS_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.OWNERS_MANAGE: (_A, _N, _N, _N, _N, _N),
    _P.TEAMS_READ: (_A, _A, _A, _A, _T, _O),
    _P.TEAMS_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.TEAM_MEMBERS_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.SERVICE_ACCOUNTS_READ: (_A, _A, _A, _A, _T, _N),
    _P.SERVICE_ACCOUNTS_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.KEYS_READ: (_A, _A, _A, _A, _T, _O),
    _P.KEYS_MANAGE: (_A, _A, _O, _O, _O, _O),
    _P.SERVICE_KEYS_MINT: (_A, _A, _N, _N, _N, _N),
    _P.TOKENS_MANAGE: (_A, _A, _O, _O, _O, _O),
    _P.PROVIDERS_READ: (_A, _A, _N, _A, _N, _N),
    _P.PROVIDERS_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.MODELS_READ: (_A, _A, _A, _A, _A, _A),
    _P.PRICES_MANAGE: (_A, _A, _A, _N, _N, _N),
    _P.POLICY_READ: (_A, _A, _A, _A, _N, _N),
    _P.POLICY_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.RULES_READ: (_A, _A, _A, _A, _T, _O),
    _P.BUDGETS_READ: (_A, _A, _A, _A, _T, _O),
    _P.BUDGETS_MANAGE: (_A, _A, _A, _N, _N, _N),
    _P.BUDGET_REQUESTS_MAKE: (_A, _A, _O, _O, _O, _O),
    _P.USAGE_READ: (_A, _A, _A, _A, _T, _O),
    _P.EXCHANGES_READ: (_A, _A, _O, _A, _O, _O),
    _P.FLEET_READ: (_A, _A, _N, _A, _N, _N),
    _P.AUDIT_READ: (_A, _A, _N, _A, _N, _N),
    _P.SIGN_IN_READ: (_A, _A, _N, _A, _N, _N),
    _P.SIGN_IN_MANAGE: (_A, _A, _N, _N, _N, _N),
    _P.ROLLOUT_READ: (_A, _A, _N, _A, _N, _N),
}
"""How far each role's right goes, without what an organization delegates to its team leads."""

DELEGATED: Mapping[Delegation, tuple[Permission, ...]] = {
    Delegation.SET_BUDGETS: (_P.BUDGETS_MANAGE,),
    Delegation.MINT_SERVICE_KEYS: (_P.SERVICE_KEYS_MINT, _P.SERVICE_ACCOUNTS_MANAGE),
    Delegation.ADD_MEMBERS: (_P.TEAM_MEMBERS_MANAGE,),
}
"""What a delegation gives to team leads, for the teams they lead."""

_COLUMN = {role: number for number, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides a person's rights in one organization, read once per request so that changes bite on the next.

    delegations: what the organization lets its team leads do. scopes: of the API token that was presented; None: no
    token, so everything the role may.
    """

    user_id: UUID
    organization_id: UUID
    role: Role
    led_team_ids: frozenset[UUID] = frozenset()
    delegations: frozenset[Delegation] = frozenset()
    scopes: frozenset[Permission] | None = None

    def may_at_all(self, permission: str) -> bool:
        """`may_at_all`, for packages below this one: they know rights by name."""
        return may_at_all(self, Permission(permission))

    def can(self, permission: str, *, owner_id: UUID | None = None, team_ids: Collection[UUID] = ()) -> bool:
        """`can`, for packages below this one: they know rights by name."""
        return can(self, Permission(permission), owner_id=owner_id, team_ids=team_ids)

    def refusal(self, permission: str) -> str:
        """`refusal`, for packages below this one: they know rights by name."""
        return refusal(self, Permission(permission))


def reach_of(standing: Standing, permission: Permission) -> Reach:
    """How far this person's right goes, here and now."""
    if standing.scopes is not None and permission not in standing.scopes:
        return Reach.NONE
    reach = TABLE[permission][_COLUMN[standing.role]]
    is_delegated = standing.role is Role.TEAM_LEAD and any(permission in DELEGATED[it] for it in standing.delegations)
    return max(reach, Reach.TEAM) if is_delegated else reach


def can(
    standing: Standing,
    permission: Permission,
    *,
    owner_id: UUID | None = None,
    team_ids: Collection[UUID] = (),
) -> bool:
    """Whether this person may do that to one object: of this person (owner_id), in these teams (team_ids).

    Without either it asks about the organization as a whole, which only a right over everything grants.
    """
    reach = reach_of(standing, permission)
    if reach is Reach.ALL:
        return True
    if reach >= Reach.OWN and owner_id is not None and owner_id == standing.user_id:
        return True
    return reach is Reach.TEAM and not standing.led_team_ids.isdisjoint(team_ids)


def may_at_all(standing: Standing, permission: Permission) -> bool:
    """Whether there can be anything this person may do it to: shows a page, then the scope narrows its rows."""
    return reach_of(standing, permission) is not Reach.NONE


def holders_of(permission: Permission) -> tuple[Role, ...]:
    """The roles that have a right over everything in the organization."""
    return tuple(role for role in Role if TABLE[permission][_COLUMN[role]] is Reach.ALL)


def plural(role: Role) -> str:
    """People of a role, in words."""
    return "finance" if role is Role.FINANCE else f"{role.label.lower()}s"


def refusal(standing: Standing, permission: Permission) -> str:
    """Say which right is missing, who has it, and how far the own one goes."""
    if standing.scopes is not None and permission not in standing.scopes:
        return f"This token's scopes leave out {permission}."
    *most, last = (
        f"{role.label.lower()}s" if role is not Role.FINANCE else "finance" for role in holders_of(permission)
    )
    named = f"{', '.join(most)} and {last}" if most else last
    text = f"This needs the right {permission}, which {named} have."
    match reach_of(standing, permission):
        case Reach.OWN:
            return f"{text} Yours ends at what is your own."
        case Reach.TEAM:
            return f"{text} Yours ends at the teams you lead."
        case _:
            return f"{text} Your role is {standing.role.label.lower()}."


def rights_of(role: Role) -> Mapping[Permission, Reach]:
    """One column of the table."""
    return {permission: reaches[_COLUMN[role]] for permission, reaches in TABLE.items()}


def is_within(role: Role, grantor: Role) -> bool:
    """Whether a grantor of one role may give another: every right of it must be one the grantor has as far."""
    held = rights_of(grantor)
    return all(reach <= held[permission] for permission, reach in rights_of(role).items())
