"""Who is told of a crossing or a finding: the team's lead, the owner of its cost centre, a named channel.

The team is the one that the counter speaks of, else the budget's own, else those that its condition names. Where no
team is found, or it has no lead, those who run the organization stand in, so that an alert always reaches somebody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from control_plane.alerts.models import AlertChannel, Finding, StageCrossing, Topic
from control_plane.budgets.models import Budget
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Role, ServiceAccount, Team
from control_plane.organizations.selectors import is_first_organization
from switchyard_contract.counters import values_of

TEAM_LEAD = "team_lead"
COST_CENTRE_OWNER = "cost_centre_owner"
MOST_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class Recipient:
    """One delivery. key: unique within a crossing."""

    key: str
    name: str
    type: str
    channel: AlertChannel | None = None

    @classmethod
    def person(cls, email: str) -> "Recipient":
        return cls(email.lower()[:300], email, "email")

    @classmethod
    def of(cls, channel: AlertChannel) -> "Recipient":
        return cls(f"channel:{channel.id.hex}", channel.name, channel.type, channel)


def recipients_of(crossing: StageCrossing, budget: Budget | None) -> list[Recipient]:
    """Everybody who is to be told, each once. budget None: it is gone; then only the counter says whose it was."""
    teams = _teams(crossing, budget)
    found: dict[str, Recipient] = {}
    for named in crossing.notify:
        for recipient in _named(crossing.organization_id, named, teams):
            found.setdefault(recipient.key, recipient)
    return list(found.values())[:MOST_PEOPLE]


def recipients_of_finding(finding: Finding) -> list[Recipient]:
    """Everybody who is to be told of a finding, each once: the channels that hear of it, and those whose it is.

    Unusual spend: the lead of the team that paid most of it, and the owner of its cost centre. Requests of a pod that
    is gone: whoever runs the organization whose they are. Missing usage: whoever runs the installation.
    """
    organization_id = finding.organization_id
    hearing = AlertChannel.objects.filter(
        organization_id=organization_id, is_active=True, hears__contains=finding.topic
    )
    found = [Recipient.of(channel) for channel in hearing.order_by("name")]
    if finding.topic == Topic.UNUSUAL_SPEND:
        ids: set[UUID | None] = {finding.team_id}
        if finding.team_id is None and finding.principal_id is not None:
            ids = _team_ids_of_principal(organization_id, finding.principal_id)
        known = [each for each in ids if each is not None]
        teams = Team.objects.filter(organization_id=organization_id, id__in=known).select_related("lead")
        some = list(teams.order_by("name"))
        found += [*_leads(organization_id, some), *_cost_centre_owners(organization_id, some)]
    elif finding.topic == Topic.ORPHANED_USAGE or is_first_organization(organization_id):
        found += _standing_in(organization_id)
    return list({recipient.key: recipient for recipient in found}.values())[:MOST_PEOPLE]


def _named(organization_id: UUID, named: str, teams: list[Team]) -> Iterable[Recipient]:
    if named == TEAM_LEAD:
        return _leads(organization_id, teams)
    if named == COST_CENTRE_OWNER:
        return _cost_centre_owners(organization_id, teams)
    channels = AlertChannel.objects.filter(organization_id=organization_id, is_active=True)
    return [Recipient.of(channel) for channel in channels.filter(name=named.removeprefix("channel:"))]


def _leads(organization_id: UUID, teams: list[Team]) -> list[Recipient]:
    leads = [team.lead for team in teams if team.lead is not None and team.lead.is_active]
    return [Recipient.person(lead.email) for lead in leads] or _standing_in(organization_id)


def _cost_centre_owners(organization_id: UUID, teams: list[Team]) -> list[Recipient]:
    centres = {team.cost_centre for team in teams} - {""}
    channels = AlertChannel.objects.filter(organization_id=organization_id, is_active=True, cost_centre__in=centres)
    found = [Recipient.of(channel) for channel in channels.order_by("name")]
    owned = {recipient.channel.cost_centre for recipient in found if recipient.channel is not None}
    rest = [team for team in teams if team.cost_centre not in owned]
    return found + _leads(organization_id, rest) if rest or not found else found


def _standing_in(organization_id: UUID) -> list[Recipient]:
    rows = Membership.objects.filter(
        organization_id=organization_id, role__in=(Role.OWNER, Role.ADMIN), user__is_active=True
    )
    return [Recipient.person(email) for email in rows.order_by("user__email").values_list("user__email", flat=True)]


def _teams(crossing: StageCrossing, budget: Budget | None) -> list[Team]:
    of_organization = Team.objects.filter(organization_id=crossing.organization_id).select_related("lead")
    values = dict(zip(crossing.per, values_of(crossing.counter), strict=False))
    ids = _team_ids_of_counter(crossing.organization_id, values)
    if not ids and budget is not None and budget.team_id is not None:
        ids = {budget.team_id}
    if not ids and budget is not None:
        subjects = (budget.when or {}).get("subjects") or ()
        ids = {_uuid(text.removeprefix("team:")) for text in subjects if text.startswith("team:")}
    return list(of_organization.filter(id__in=[each for each in ids if each is not None]).order_by("name"))


def _team_ids_of_counter(organization_id: UUID, values: dict[str, str]) -> set[UUID | None]:
    """The teams of whom a counter is: the charged one of a key, all of a person's."""
    if "team" in values:
        return {_uuid(values["team"])}
    if "key" in values:
        keys = VirtualKey.objects.filter(organization_id=organization_id, key_id=values["key"])
        return set(keys.values_list("team_id", flat=True))
    principal = next((_uuid(values[kind]) for kind in ("user", "service_account", "principal") if kind in values), None)
    return set() if principal is None else _team_ids_of_principal(organization_id, principal)


def _team_ids_of_principal(organization_id: UUID, principal: UUID) -> set[UUID | None]:
    accounts = ServiceAccount.objects.filter(organization_id=organization_id, id=principal)
    mine: set[UUID | None] = set(accounts.values_list("team_id", flat=True))
    if mine:
        return mine
    teams = Team.objects.filter(organization_id=organization_id, memberships__user_id=principal)
    return set(teams.values_list("id", flat=True))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
