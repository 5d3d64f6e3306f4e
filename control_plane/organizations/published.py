"""The table of rights in words, for the console's page of roles and for docs/reference/roles.md."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from control_plane.organizations.roles import (
    DELEGATED,
    TABLE,
    Delegation,
    Permission,
    Reach,
    Role,
)

_P = Permission

ROLE_WORDS: Mapping[Role, str] = {
    Role.OWNER: "everything, and who else is an owner",
    Role.ADMIN: "everything but owners",
    Role.FINANCE: "all spend, budgets and prices; no policy",
    Role.AUDITOR: "sees everything, changes nothing",
    Role.TEAM_LEAD: "the teams they lead: people, keys, spend",
    Role.MEMBER: "own keys, own usage",
}

REACH_WORDS: Mapping[Reach, str] = {
    Reach.NONE: "no",
    Reach.OWN: "own",
    Reach.TEAM: "led teams",
    Reach.ALL: "all",
}

DELEGATION_WORDS: Mapping[Delegation, str] = {
    Delegation.SET_BUDGETS: "set budgets",
    Delegation.MINT_SERVICE_KEYS: "mint service keys",
    Delegation.ADD_MEMBERS: "add members",
}

GROUPS: tuple[tuple[str, tuple[tuple[Permission, str], ...]], ...] = (
    (
        "Organization",
        (
            (_P.ORGANIZATION_READ, "See the organization and its settings"),
            (_P.ORGANIZATION_MANAGE, "Change settings, what team leads may do, and switch the organization off"),
            (_P.SIGN_IN_READ, "See single sign-on and provisioning"),
            (_P.SIGN_IN_MANAGE, "Set up single sign-on and provisioning"),
        ),
    ),
    (
        "People",
        (
            (_P.MEMBERS_READ, "See members"),
            (_P.MEMBERS_MANAGE, "Add, change, deactivate and remove members, up to the own role"),
            (_P.OWNERS_MANAGE, "Make and unmake owners"),
            (_P.TEAMS_READ, "See teams"),
            (_P.TEAMS_MANAGE, "Add and change teams, and say who leads them"),
            (_P.TEAM_MEMBERS_MANAGE, "Put members into teams and take them out"),
            (_P.SERVICE_ACCOUNTS_READ, "See service accounts"),
            (_P.SERVICE_ACCOUNTS_MANAGE, "Add, change and switch off service accounts"),
            (_P.ROLLOUT_READ, "Download the files that set tools up on people's machines"),
        ),
    ),
    (
        "Keys",
        (
            (_P.KEYS_READ, "See keys, never their text"),
            (_P.KEYS_MANAGE, "Mint, change, rotate and revoke keys of people"),
            (_P.SERVICE_KEYS_MINT, "Mint keys for service accounts, rotate and revoke them"),
            (_P.TOKENS_MANAGE, "Make and revoke tokens of the admin API"),
        ),
    ),
    (
        "Policy and supply",
        (
            (_P.POLICY_READ, "See routes and rules"),
            (_P.POLICY_MANAGE, "Change routes and rules"),
            (_P.RULES_READ, "See the rules of access, limits and caps that apply to one"),
            (_P.PROVIDERS_READ, "See providers, never their credentials"),
            (_P.PROVIDERS_MANAGE, "Add and change providers, replace credentials"),
            (_P.MODELS_READ, "See models and what they cost"),
            (_P.PRICES_MANAGE, "Set the organization's own prices"),
        ),
    ),
    (
        "Spend and traffic",
        (
            (_P.USAGE_READ, "See spend and usage"),
            (_P.BUDGETS_READ, "See budgets"),
            (_P.BUDGETS_MANAGE, "Set budgets, raise them, decide about requests for more"),
            (_P.BUDGET_REQUESTS_MAKE, "Ask for more of a budget"),
            (_P.EXCHANGES_READ, "See single exchanges and sessions"),
        ),
    ),
    (
        "Operation",
        (
            (_P.FLEET_READ, "See pods and what they hold"),
            (_P.AUDIT_READ, "Search, verify and export the audit"),
        ),
    ),
)
"""Every right once, in words, in the order people look for them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How far one role's right goes. delegation: what gives it to team leads for their teams, where something does."""

    role: Role
    reach: Reach
    delegation: Delegation | None = None

    @property
    def word(self) -> str:
        return REACH_WORDS[self.reach]

    @property
    def delegation_words(self) -> str:
        return "" if self.delegation is None else DELEGATION_WORDS[self.delegation]


@dataclass(frozen=True, slots=True)
class Row:
    permission: Permission
    words: str
    cells: tuple[Cell, ...]


def table_rows() -> Iterator[tuple[str, tuple[Row, ...]]]:
    """The table by groups: (heading, rows)."""
    for heading, rights in GROUPS:
        yield heading, tuple(Row(right, words, tuple(_cells(right))) for right, words in rights)


def _cells(right: Permission) -> Iterator[Cell]:
    for role, reach in zip(Role, TABLE[right], strict=True):
        given = next((one for one, rights in DELEGATED.items() if right in rights), None)
        widens = role is Role.TEAM_LEAD and reach < Reach.TEAM
        yield Cell(role, reach, given if widens else None)


def as_markdown() -> str:
    """docs/reference/roles.md, whole."""
    lines = [
        "# Roles and rights",
        "",
        "Printed from the table that decides (`control_plane/organizations/roles.py`); do not edit. To print it anew:",
        "",
        "```",
        ".venv/bin/python -m control_plane.organizations.published > docs/reference/roles.md",
        "```",
        "",
        "A person has one role in each organization. A right goes over **all** of the organization; over the",
        "**led teams** and what is one's own; over one's **own** things; or it is not there (**no**). What one may",
        "not see is not there (404); what one sees and may not do is refused (403), with the right's name and who",
        "has it. Roles, teams and delegations are read with every request: a change bites on the next one.",
        "",
        "| role | in short |",
        "| --- | --- |",
        *(f"| {role.label.lower()} | {words} |" for role, words in ROLE_WORDS.items()),
        "",
    ]
    head = f"| right | scope of API tokens | {' | '.join(role.label.lower() for role in Role)} |"
    for heading, rows in table_rows():
        lines += [f"## {heading}", "", head, f"| {' | '.join(['---'] * (len(Role) + 2))} |"]
        for row in rows:
            cells = (cell.word + (" ¹" if cell.delegation else "") for cell in row.cells)
            lines.append(f"| {row.words} | `{row.permission}` | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "¹ An admin may let team leads do this for the teams they lead (Settings, “Team leads”, or",
        "`PATCH /api/v1/organizations/{id}`):",
        "",
        *(
            f"- `leads_may_{delegation.value}`: {DELEGATION_WORDS[delegation]} "
            f"({', '.join(f'`{right}`' for right in rights)})."
            for delegation, rights in DELEGATED.items()
        ),
        "",
        "## What holds besides",
        "",
        "- Nobody gives more than they have: a role is given, changed or taken only by somebody whose own rights hold",
        "  all of its rights. Owners are made, unmade and touched by owners only.",
        "- An organization keeps at least one active owner: the last one can be neither demoted nor removed nor",
        "  deactivated (409), by whatever way.",
        "- A plain member who is made the lead of a team becomes a team lead, and a member again with the last led",
        "  team.",
        "- A token of the admin API may what its person may at that moment, and of that only what its scopes say. It",
        "  can give no role whose rights go beyond its scopes, apart from that of a plain member.",
        "- A key of a service account is in the hands of whoever may mint keys for its team. A personal key charged",
        "  to a team is seen by the team's lead, and managed by its owner and by admins only.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
