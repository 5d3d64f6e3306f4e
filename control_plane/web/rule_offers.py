"""What a rule's form offers to be put into its lists: people, teams, models, providers, channels; a few of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.text import capfirst

from control_plane.alerts.selectors import channels_of
from control_plane.budgets.stages import TOLD
from control_plane.credentials.selectors import providers_of
from control_plane.organizations.models import Organization, Role
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of
from control_plane.routing.selectors import virtual_models_of
from control_plane.web.rule_rows import groups_of

MOST_OFFERED = 60
FAMILIES = ("*opus*", "*sonnet*", "*haiku*", "gpt-*", "gemini-*")
Options = Sequence[tuple[str, str]]
Groups = Sequence[tuple[str, Options]]


@dataclass(frozen=True, slots=True)
class Offers:
    """Options under titles, for each list; too many to be listed are typed."""

    subjects: Groups
    models: Groups
    providers: Groups
    told: Groups
    groups: Sequence[str]


def offers_for(organization: Organization) -> Offers:
    teams = list(teams_of(organization).order_by("name").values_list("name", flat=True)[:MOST_OFFERED])
    accounts = list(service_accounts_of(organization).order_by("name").values_list("name", flat=True)[:MOST_OFFERED])
    people = memberships_of(organization).order_by("user__email").values_list("user__email", flat=True)
    emails = list(people[:MOST_OFFERED])
    names = list(virtual_models_of(organization).order_by("name").values_list("name", flat=True)[:MOST_OFFERED])
    providers = list(providers_of(organization).order_by("name").values_list("name", flat=True)[:MOST_OFFERED])
    channels = list(channels_of(organization.id).order_by("name").values_list("name", flat=True)[:MOST_OFFERED])
    return Offers(
        subjects=_filled(
            ("Teams", [(f"team:{name}", name) for name in teams]),
            ("Roles", [(f"role:{role.value}", capfirst(role.label)) for role in Role]),
            ("Kinds", [("kind:user", "All people"), ("kind:service_account", "All service accounts")]),
            ("Service accounts", [(f"service_account:{name}", name) for name in accounts]),
            ("People", [(f"user:{email}", email) for email in emails]),
        ),
        models=_filled(
            ("Families", [(glob, glob) for glob in FAMILIES]),
            ("Names that tools ask for", [(name, name) for name in names]),
        ),
        providers=_filled(("Providers", [(name, name) for name in providers])),
        told=_filled(
            ("By what they are", [(word, word.replace("_", " ")) for word in TOLD]),
            ("Alert channels", [(f"channel:{name}", name) for name in channels]),
        ),
        groups=groups_of(organization),
    )


def _filled(*groups: tuple[str, Options]) -> Groups:
    return [group for group in groups if group[1]]
