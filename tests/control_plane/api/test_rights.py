"""Every endpoint, every role, own and foreign objects: expected from what each endpoint declares and the table.

Nothing is copied by hand: a new endpoint is tried as soon as the router knows it, and one that says no right fails.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import URLPattern
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient

from control_plane.access.models import AccessRule
from control_plane.access.services import access_rule_create
from control_plane.audit.selectors import changes_of
from control_plane.budgets.models import Budget, BudgetRequest
from control_plane.budgets.services import budget_create, budget_request_make
from control_plane.catalog.models import Discount, OrganizationPrice
from control_plane.catalog.price_row import DiscountDraft, PriceDraft
from control_plane.catalog.services import discount_set, list_prices_load, organization_price_set
from control_plane.declarative.models import PolicyRevision
from control_plane.identity.models import IdentityConnection
from control_plane.identity.scim.models import ScimGroup, ScimToken
from control_plane.identity.scim.services.groups import group_create
from control_plane.identity.scim.services.tokens import scim_token_mint
from control_plane.identity.services.connections import OidcFacts, connection_create
from control_plane.identity.workload.models import WorkloadTrust
from control_plane.identity.workload.services import TrustFacts, trust_add
from control_plane.keys.models import AdminToken
from control_plane.limits.models import RateLimit, SessionCap
from control_plane.limits.services import rate_limit_create, session_cap_create
from control_plane.organizations.models import Membership, Role
from control_plane.organizations.roles import Permission, Reach, Standing, may_at_all, reach_of
from control_plane.organizations.selectors import standing_of
from control_plane.organizations.services import INSTALLATION, team_update
from control_plane.project.api_urls import urlpatterns
from control_plane.rest.permissions import IsCaller, rights_declared
from control_plane.rules.metadata_keys import metadata_key_create
from control_plane.rules.models import MetadataKey
from control_plane.usage.adjustments import Correction, adjustment_create
from control_plane.usage.models import Adjustment, Repricing
from control_plane.usage.repricing import repricing_begin
from switchyard_contract.quantity import NanoUsd, nano_usd
from tests.control_plane.api.world import ACTOR, Tenant, a_person, as_user, book_usage, session_of

WITHOUT_RIGHTS = {"schema", "docs", "policy-schema", "kind-schema", "whoami", "workload-keys"} | {
    "device-authorize",
    "device-token",
    "device-revoke",
}
"""Open to anybody, or about the caller alone. Anything else says which right it needs."""
SEES_WHOLE_POLICY = {"plan", "apply", "export", "policy-drift"}
"""Ask for more rights besides the declared one, since a policy file holds people, accounts and addresses."""
ALLOWED = (200, 201, 204, 400, 409, 412)
"""Let in: done, or refused for what was in the body, which was empty."""
KNOWN = {"tool": "claude-code", "target": "linux"}
"""What stands in addresses besides ids."""
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one address."""

    name: str
    resource: str
    pattern: str
    method: str
    action: str
    view: Any

    @property
    def right(self) -> Permission:
        return Permission(rights_declared(self.view)[self.action])

    @property
    def reading_right(self) -> Permission:
        rights = rights_declared(self.view)
        return Permission(rights.get("retrieve") or rights.get("list") or rights[self.action])

    @property
    def lookup(self) -> str:
        return str(getattr(self.view, "lookup_url_kwarg", None) or getattr(self.view, "lookup_field", "pk"))

    @property
    def is_of_one_object(self) -> bool:
        return f"(?P<{self.lookup}>" in self.pattern

    def address(self, object_id: str = "") -> str:
        text = self.pattern.removeprefix("^").removesuffix("$").removesuffix("/?")
        text = re.sub(rf"\(\?P<{self.lookup}>(?:\[[^]]*\]|[^()\[\]])+\)", lambda _: object_id, text)
        return "/api/v1/" + re.sub(
            r"\(\?P<(\w+)>(?:\[[^]]*\]|[^()\[\]])+\)", lambda found: KNOWN.get(found[1], "x"), text
        )


def _endpoints() -> Iterator[Endpoint]:
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is None:
            assert pattern.name is None, pattern  # the address that stands for all others
            continue
        text = str(pattern.pattern)
        actions = getattr(pattern.callback, "actions", None) or {name: name for name in METHODS if hasattr(view, name)}
        for method, action in actions.items():
            if method in METHODS:
                resource = text.removeprefix("^").split("/")[0].removesuffix("$").removesuffix("/?")
                yield Endpoint(str(pattern.name), resource, text, method, action, view)


ENDPOINTS = list(_endpoints())
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.name not in WITHOUT_RIGHTS]
OF_ONE = [endpoint for endpoint in GUARDED if endpoint.is_of_one_object]
OF_MANY = [endpoint for endpoint in GUARDED if not endpoint.is_of_one_object]

OBJECTS: dict[str, Callable[[Tenant], str]] = {
    "organizations": lambda t: t.organization.id.hex,
    "teams": lambda t: t.team.id.hex,
    "users": lambda t: t.member.id.hex,
    "memberships": lambda t: t.membership.id.hex,
    "service-accounts": lambda t: t.account.id.hex,
    "keys": lambda t: t.member_key.key_id,
    "admin-tokens": lambda t: AdminToken.objects.filter(user=t.member).earliest("created_at").id.hex,
    "providers": lambda t: t.provider.id.hex,
    "virtual-models": lambda t: t.virtual_model.id.hex,
    "snapshots": lambda t: t.snapshot.id.hex,
    "sessions": lambda t: session_of(t).id.hex,
    "exchanges": lambda t: t.exchange,
    "adjustments": lambda t: a_credit(t).id.hex,
    "prices": lambda t: own_price(t).id.hex,
    "discounts": lambda t: a_discount(t).id.hex,
    "repricings": lambda t: a_repricing(t).id.hex,
    "models": lambda t: "anthropic-main/claude-sonnet-4-6",
    "access-rules": lambda t: AccessRule.objects.get(organization=t.organization).id.hex,
    "rate-limits": lambda t: RateLimit.objects.get(organization=t.organization).id.hex,
    "session-caps": lambda t: SessionCap.objects.get(organization=t.organization).id.hex,
    "budgets": lambda t: Budget.objects.get(organization=t.organization).id.hex,
    "budget-requests": lambda t: BudgetRequest.objects.get(organization=t.organization).id.hex,
    "metadata-keys": lambda t: MetadataKey.objects.get(organization=t.organization).id.hex,
    "audit": lambda t: str(changes_of(t.organization.id).latest("sequence").sequence),
}
"""An object of a tenant for each resource that has rows of its own: of the plain member in team Platform, where it
belongs to somebody."""
HELD_BY_TEAM = {"teams", "users", "memberships", "service-accounts", "keys", "sessions"} | {
    "access-rules",
    "rate-limits",
    "session-caps",
    "budgets",
    "budget-requests",
    "adjustments",
}
"""Whose object is also the team's, to its lead."""
NOT_OF_ONE_TENANT = {"models", "audit"}
"""Named alike in every organization, so that there is no foreign id of theirs: names, and places in the own chain."""


def own_price(tenant: Tenant) -> OrganizationPrice:
    draft = PriceDraft("anthropic", "claude-sonnet-4-6", {"input": 1, "output": 2})
    return organization_price_set(organization=tenant.organization, draft=draft, actor=ACTOR)


def a_discount(tenant: Tenant) -> Discount:
    return discount_set(organization=tenant.organization, draft=DiscountDraft(900), actor=ACTOR)


def a_repricing(tenant: Tenant) -> Repricing:
    now = timezone.now()
    return repricing_begin(
        organization=tenant.organization, since=now - timedelta(days=1), until=now, reason="Why.", actor=ACTOR
    )


def a_credit(tenant: Tenant) -> Adjustment:
    correction = Correction(NanoUsd(-5), "A credit.", team=tenant.team, principal=tenant.member)
    return adjustment_create(organization=tenant.organization, correction=correction, actor=ACTOR)


FOREIGN: dict[str, Callable[[Tenant], str]] = {
    **OBJECTS,
    "workload-trusts": lambda t: WorkloadTrust.objects.get(organization=t.organization).id.hex,
    "identity-connections": lambda t: IdentityConnection.objects.get(organization=t.organization).id.hex,
    "scim-tokens": lambda t: ScimToken.objects.get(organization=t.organization).id.hex,
    "scim-groups": lambda t: ScimGroup.objects.get(organization=t.organization).id.hex,
    "policy-revisions": lambda t: str(PolicyRevision.objects.get(organization=t.organization).number),
}
"""What a foreign tenant has, which every verb and role asks for."""


def govern(tenant: Tenant) -> None:
    """Give a tenant what its admins set up for sign-in, directories, CI jobs and policy as code."""
    facts = TrustFacts(
        name="main branch",
        issuer="https://93.184.216.34",
        audience="switchyard",
        conditions={"repository": f"{tenant.organization.slug}/app"},
    )
    trust_add(service_account=tenant.account, facts=facts, actor=ACTOR)
    connection_create(
        organization=tenant.organization,
        name="Okta",
        facts=OidcFacts("https://93.184.216.34", "client"),
        domains=(f"{tenant.organization.slug}.example",),
        actor=ACTOR,
        grantor=Role.OWNER,
    )
    scim_token_mint(organization=tenant.organization, name="Entra", actor=ACTOR, by=INSTALLATION)
    group_create(organization=tenant.organization, body={"displayName": "Engineers"}, actor=ACTOR)
    PolicyRevision.objects.create(
        organization=tenant.organization,
        number=4711,
        through_sequence=1,
        text="",
        source="console",
        author="tests",
        created_at=timezone.now(),
    )


def rule(tenant: Tenant) -> None:
    """Give a tenant a rule of each kind about the team of the plain member, who asks for more of its budget."""
    about = {"when": {"subjects": ["team:Platform"]}}
    name = f"{tenant.organization.slug}-rule"
    organization = tenant.organization
    access_rule_create(organization=organization, name=name, spec={"allow": {}, **about}, actor=ACTOR)
    rate_limit_create(
        organization=organization, name=name, spec={"limit": 60, "unit": "requests_per_minute", **about}, actor=ACTOR
    )
    session_cap_create(organization=organization, name=name, spec={"max_turns": 400, **about}, actor=ACTOR)
    metadata_key_create(organization=organization, name=name, spec={}, actor=ACTOR)
    budget = budget_create(
        organization=organization,
        name=name,
        spec={"limit_usd": "10", "period": "day", "team": "Platform", **about},
        actor=ACTOR,
    )
    budget_request_make(
        budget=budget, requester=tenant.member, amount=nano_usd("5"), reason="The release is today.", actor=ACTOR
    )


class Worlds:
    """Two tenants with usage, and a person of each role in the first, whose lead leads the team of the plain member."""

    def __init__(self, acme: Tenant, globex: Tenant) -> None:
        self.acme, self.globex = acme, globex
        self.people = {role: a_person(acme, role) for role in Role}
        team_update(team=acme.team, lead=self.people[Role.TEAM_LEAD], actor=ACTOR)
        self.clients = {role: as_user(acme, user) for role, user in self.people.items()}

    def standing(self, role: Role) -> Standing:
        membership = Membership.objects.select_related("organization").get(
            organization=self.acme.organization, user=self.people[role]
        )
        return standing_of(membership)


@pytest.fixture
def worlds(acme: Tenant, globex: Tenant) -> Worlds:
    list_prices_load(actor=ACTOR)
    acme = acme.with_exchange(book_usage(acme)["newest own"])
    globex = globex.with_exchange(book_usage(globex, salt=100)["newest own"])
    for tenant in (acme, globex):
        rule(tenant)
    return Worlds(acme, globex)


def answer(client: APIClient, method: str, address: str, body: Any = None) -> int:
    """The status; whatever it changed is undone."""
    with transaction.atomic():
        response = getattr(client, method)(address, data={} if body is None else body, format="json")
        transaction.set_rollback(True)
    return int(response.status_code)


def test_every_endpoint_says_which_right_it_needs() -> None:
    known = set(Permission)
    for endpoint in ENDPOINTS:
        where = f"{endpoint.method} {endpoint.pattern}"
        if endpoint.name in WITHOUT_RIGHTS:
            continue
        assert IsCaller in endpoint.view.permission_classes, where
        assert rights_declared(endpoint.view).get(endpoint.action) in known, where
    assert len(GUARDED) > 70


def test_what_is_open_says_so_itself() -> None:
    for endpoint in ENDPOINTS:
        if endpoint.name in WITHOUT_RIGHTS:
            assert IsCaller not in endpoint.view.permission_classes, endpoint.pattern
    anybody = {one.name for one in ENDPOINTS if AllowAny in one.view.permission_classes}
    assert anybody <= WITHOUT_RIGHTS


def test_what_is_no_ones_object_is_open_to_whom_the_table_says(worlds: Worlds) -> None:
    for role in Role:
        standing, client = worlds.standing(role), worlds.clients[role]
        for endpoint in OF_MANY:
            status = answer(client, endpoint.method, endpoint.address())
            told = f"{role}: {endpoint.method} {endpoint.address()} answered {status}"
            if not may_at_all(standing, endpoint.right):
                assert status == 403, told
            elif endpoint.name in SEES_WHOLE_POLICY or endpoint.resource == "policy-revisions":
                assert status in (403, *ALLOWED), told
            else:
                assert status in ALLOWED, told


def test_a_foreign_object_is_not_there_whatever_the_verb_and_the_role(worlds: Worlds) -> None:
    govern(worlds.globex)
    for role in Role:
        tried = 0
        for endpoint in OF_ONE:
            if endpoint.resource in NOT_OF_ONE_TENANT:
                continue
            name = FOREIGN.get(endpoint.resource)
            # What has no row in these worlds is asked for by an id that never was; it must read the same.
            foreign = uuid4().hex if name is None else name(worlds.globex)
            address = endpoint.address(foreign)
            status = answer(worlds.clients[role], endpoint.method, address)
            assert status == 404, f"{role}: {endpoint.method} {address} answered {status}"
            tried += 1
        assert tried > 40


def test_an_own_object_is_seen_and_changed_as_the_table_says(worlds: Worlds) -> None:
    for role in Role:
        standing, client = worlds.standing(role), worlds.clients[role]
        tried = 0
        for endpoint in OF_ONE:
            name = OBJECTS.get(endpoint.resource)
            if name is None:
                continue
            address = endpoint.address(name(worlds.acme))
            status = answer(client, endpoint.method, address)
            told = f"{role}: {endpoint.method} {address} answered {status}"
            tried += 1
            if not _reaches(standing, endpoint.reading_right, endpoint.resource):
                assert status == 404, told
            elif endpoint.right != endpoint.reading_right and not _reaches(standing, endpoint.right, endpoint.resource):
                assert status == 403, told
            elif endpoint.action == "remove_member":
                assert status == 400, told  # "x" is nobody's name
            else:
                assert status in ALLOWED, told
        assert tried > 30


def test_each_foreign_id_is_right_in_its_own_organization(worlds: Worlds) -> None:
    """Else the 404s above would prove nothing."""
    owner = as_user(worlds.globex, worlds.globex.owner)
    for endpoint in OF_ONE:
        name = OBJECTS.get(endpoint.resource)
        if name is not None and endpoint.action == "retrieve":
            assert answer(owner, "get", endpoint.address(name(worlds.globex))) == 200, endpoint.resource


def test_lists_hold_what_the_role_reaches_and_nothing_foreign(worlds: Worlds) -> None:
    for role in Role:
        standing, client = worlds.standing(role), worlds.clients[role]
        for endpoint in OF_MANY:
            if endpoint.action != "list" or not may_at_all(standing, endpoint.right):
                continue
            response = client.get(f"{endpoint.address()}?limit=200")
            if response.status_code == 403 and endpoint.resource == "policy-revisions":
                continue
            text = response.content.decode()
            assert "globex" not in text, endpoint.resource
            assert worlds.globex.member_key.key_id not in text, endpoint.resource
            if reach_of(standing, endpoint.right) is Reach.OWN:
                assert worlds.acme.member.email not in text, endpoint.resource
                assert worlds.acme.member_key.key_id not in text, endpoint.resource


def _reaches(standing: Standing, right: Permission, resource: str) -> bool:
    match reach_of(standing, right):
        case Reach.ALL:
            return True
        case Reach.TEAM:
            return resource in HELD_BY_TEAM
        case _:
            return False
