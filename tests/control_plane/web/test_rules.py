"""Rules in the console: the list, forms of every kind, what they refuse, previews, undo, and who may do what."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.access.models import AccessRule
from control_plane.accounts.services import actor_of
from control_plane.budgets.models import Budget
from control_plane.limits.models import RateLimit
from control_plane.organizations.roles import Role
from control_plane.rules.services import rule_create
from control_plane.usage.models import RuleDay
from control_plane.web.forms.stages import PREFIX
from control_plane.web.rule_catalog import BY_SLUG, RULE_TYPES
from tests.builders.tenants import Tenant, a_person_of_role, a_provider, a_service_account
from tests.control_plane.rules.bad_rules import BAD_RULES, Bad
from tests.control_plane.web.conftest import SignIn
from tests.control_plane.web.test_budgets import a_budget

ORDINARY: dict[str, dict[str, Any]] = {
    "budgets": {"limit_usd": "10", "period": "day", "per": ["principal"]},
    "access-rules": {"allow": {"models": ["claude-haiku-*"]}},
    "rate-limits": {"limit": 60, "unit": "requests_per_minute", "per": ["key"]},
    "session-caps": {"max_cost_usd": "50", "max_turns": 400},
}
SLUGS = pytest.mark.parametrize("slug", ORDINARY)
SLUG_OF = {one.yaml_kind: one.slug for one in RULE_TYPES}
OF_A_FILE = {
    "zone with a path": "zones are chosen",
    "unknown zone": "zones are chosen",
    "unknown period": "periods are chosen",
    "unknown unit": "units are chosen",
    "unknown mode": "modes are chosen",
    "unknown bound": "bounds are chosen",
    "unknown outage rule": "what becomes of an outage is chosen",
    "unknown action": "actions are chosen",
    "nothing to count by": "what is counted by is chosen",
    "no such protocol": "protocols are ticked",
    "anchor of a day": "is not sent for a day",
    "burst of a day": "is not sent for a day",
    "amount without grace": "is not sent without grace",
    "alert with a list": "is not sent for an alert",
    "empty list": "an empty field is everybody",
    "excludes everything": "an empty field excludes nothing",
    "unknown part": "there is no such field",
    "unknown field": "there is no such field",
    "denies nothing": "an empty field denies nothing",
    "denies one's own": "a box that is not ticked says nothing",
    "hours in an unknown zone": "hours are one text; see “hours in words”",
    "hours of no day": "hours are one text",
    "hours of 25": "hours are one text",
}
"""Mistakes that no form can send."""
REFUSED_BY_THE_FORM = "Select a valid choice"


def a_rule(tenant: Tenant, slug: str, name: str = "mine", **spec: Any) -> Any:
    return rule_create(
        BY_SLUG[slug].kind,
        organization=tenant.organization,
        name=name,
        spec={**ORDINARY[slug], **spec},
        actor=actor_of(tenant.admin),
    )


def as_typed(slug: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """What a browser would send for a rule: the form's own fields, filled with it."""
    form = BY_SLUG[slug].form()
    form.fill(name, spec)
    data = {field: form[field].value() for field in form.fields}
    for stage in getattr(form, "stages", ()):
        data |= {f"{stage.prefix}-{field}": stage[field].value() for field in stage.fields}
    # A browser sends nothing for a box that is not ticked.
    return {field: value for field, value in data.items() if value is not None and value is not False}


@SLUGS
def test_each_kind_has_a_page_a_form_and_a_way_out(slug: str, admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, slug)
    for name in ("rule", "rule-edit", "rule-delete"):
        answer = admin_client.get(reverse(f"web:{name}", args=[slug, row.id]), follow=True)
        assert answer.status_code == 200, (name, answer.status_code)
        assert "mine" in answer.content.decode()
    assert admin_client.get(reverse("web:rule-add", args=[slug])).status_code == 200


@SLUGS
def test_what_a_form_shows_it_saves_again_as_it_was(slug: str, admin_client: Client, tenant: Tenant) -> None:
    when: dict[str, Any] = {"subjects": [f"team:{tenant.team.name}"], "models": ["*opus*"], "clients": ["claude-code"]}
    when |= {"metadata": {"environment": ["ci", "dev"]}, "hours": "Mon-Fri 09:00-18:00 Europe/Berlin"}
    when |= {"not": {"models": ["*haiku*"], "protocols": ["gemini_content"]}}
    row = a_rule(tenant, slug, description="for a test", mode="shadow", when=when)
    kind = BY_SLUG[slug].kind
    before = kind.spec(row)

    answer = admin_client.post(reverse("web:rule-edit", args=[slug, row.id]), as_typed(slug, "mine", before))

    assert answer.status_code == 302, answer.context["form"].errors
    row.refresh_from_db()
    assert kind.spec(row) == before


@SLUGS
def test_exceptions_that_only_a_file_can_say_stay(slug: str, admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, slug, when={"not": [{"models": ["a*"], "clients": ["aider"]}, {"models": ["b*"]}]})
    kind = BY_SLUG[slug].kind
    before = kind.spec(row)
    data = as_typed(slug, "mine", before) | {"description": "changed"}

    admin_client.post(reverse("web:rule-edit", args=[slug, row.id]), data)

    row.refresh_from_db()
    assert row.description == "changed"
    assert kind.spec(row)["when"] == before["when"]


def test_seniors_have_fifty_everybody_else_ten_and_opus_a_thousand_together(
    admin_client: Client, tenant: Tenant
) -> None:
    ordinary = {"period": "day", "timezone": "Europe/Berlin", "per": ["principal"], "group": "daily", "mode": "enforce"}
    for name, more in (
        ("seniors", {"limit_usd": "$50.00", "subjects": f"team:{tenant.team.name}"}),
        ("everybody-else", {"limit_usd": "10"}),
        ("opus", {"limit_usd": "1,000", "period": "month", "per": [], "group": "", "models": "*opus*"}),
    ):
        data = ordinary | {"name": name, "bound": "calibrated", "on_counter_outage": "bounded", "grace": "none"} | more
        answer = admin_client.post(reverse("web:rule-add", args=["budgets"]), data)
        assert answer.status_code == 302, answer.context["form"].errors
    made = {row.name: row for row in Budget.objects.filter(organization=tenant.organization)}
    assert {name: row.limit_nano_usd // 10**9 for name, row in made.items()} == {
        "seniors": 50,
        "everybody-else": 10,
        "opus": 1000,
    }
    assert made["seniors"].group == made["everybody-else"].group == "daily"
    assert made["opus"].when == {"models": ["*opus*"]}
    assert made["seniors"].when == {"subjects": [f"team:{tenant.team.id.hex}"]}


@pytest.mark.parametrize(
    "bad", [one for one in BAD_RULES if one.kind in SLUG_OF and one.id not in OF_A_FILE], ids=lambda bad: bad.id
)
def test_a_bad_rule_is_refused_where_it_was_typed(bad: Bad, admin_client: Client, tenant: Tenant) -> None:
    a_provider(tenant)
    for good in bad.present:
        rule_create(
            BY_SLUG[SLUG_OF[good.kind]].kind,
            organization=tenant.organization,
            name=good.name,
            spec=good.spec,
            actor=actor_of(tenant.admin),
        )
    slug = SLUG_OF[bad.kind]
    before = BY_SLUG[slug].kind.model.objects.count()

    answer = admin_client.post(reverse("web:rule-add", args=[slug]), as_typed(slug, bad.name, dict(bad.spec)))

    assert answer.status_code == 422
    assert BY_SLUG[slug].kind.model.objects.count() == before
    form = answer.context["form"]
    told = [text for texts in form.errors.values() for text in texts]
    stages = getattr(form, "stages", ())
    told += [text for stage in stages for texts in stage.errors.values() for text in texts]
    told += getattr(form, "stage_problems", [])
    assert any(bad.says in text or "required" in text for text in told), told
    # Beside a field, not above the form: unless it is about all of it.
    if bad.field != "when":
        assert not form.non_field_errors()
    page = answer.content.decode()
    assert 'aria-invalid="true"' in page or "field-error" in page or "notice-stopped" in page


def test_every_mistake_that_no_form_can_send_is_one_of_the_table() -> None:
    assert set(OF_A_FILE) <= {bad.id for bad in BAD_RULES}


def test_the_preview_says_what_it_means_and_whom_it_leaves_out(admin_client: Client, tenant: Tenant) -> None:
    a_service_account(tenant)
    data = {"limit_usd": "10", "period": "day", "per": ["user"], "mode": "shadow", f"{PREFIX}-0-at": "100"}
    data |= {f"{PREFIX}-0-do": "block"}
    page = admin_client.post(reverse("web:rule-preview", args=["budgets"]), data).content.decode()
    assert "$10.00 a day" in page
    assert "service accounts" in page
    assert "It stops at" in page
    half = admin_client.post(reverse("web:rule-preview", args=["budgets"]), {"limit_usd": "ten", "period": "day"})
    assert half.status_code == 200
    assert "At most: " in half.content.decode(), "a place is called as the form calls it"
    assert "limit_usd" not in half.content.decode()


def test_the_only_allowing_rule_warns_about_everybody_else(admin_client: Client, tenant: Tenant) -> None:
    data = {"allows": "some", "allow_models": "claude-*", "subjects": f"team:{tenant.team.name}", "mode": "enforce"}
    page = admin_client.post(reverse("web:rule-preview", args=["access-rules"]), data).content.decode()
    assert "may use nothing" in page


def test_the_list_shows_every_kind_with_what_it_did_today(admin_client: Client, tenant: Tenant) -> None:
    rows = {slug: a_rule(tenant, slug, name=slug, mode="shadow") for slug in ORDINARY}
    RuleDay.objects.create(
        organization_id=tenant.organization.id,
        day=timezone.now().date(),
        rule_id=rows["budgets"].id.hex,
        kind="budget",
        matched=417,
        shadow_refused=13,
    )
    answer = admin_client.get("/rules")
    shown = {row.rule.name: row for row in answer.context["rows"]}
    assert set(shown) == set(ORDINARY)
    assert (shown["budgets"].today.matched, shown["budgets"].today.shadow_refused) == (417, 13)
    assert re.search(r"<td[^>]*>\s*13", answer.content.decode())


def test_the_list_is_searched_filtered_and_paged(admin_client: Client, tenant: Tenant) -> None:
    a_rule(tenant, "budgets", name="aa", when={"subjects": [f"team:{tenant.team.name}"]}, mode="shadow")
    a_rule(tenant, "rate-limits", name="ab", description="for nights")
    account = a_service_account(tenant)
    a_rule(tenant, "session-caps", name="ac", when={"subjects": [f"service_account:{account.name}"]}, group="g")

    def names(query: str) -> list[str]:
        return [row.rule.name for row in admin_client.get(f"/rules?{query}").context["rows"]]

    assert names("") == ["aa", "ab", "ac"]
    assert names("kind=rate-limits") == ["ab"]
    assert names("mode=shadow") == ["aa"]
    assert names("q=nights") == ["ab"]
    assert names("q=nothing") == []
    assert names("kind=nonsense") == ["aa", "ab", "ac"]
    # A rule about nobody in particular is about the team too.
    assert names(f"about=team:{tenant.team.id.hex}") == ["aa", "ab"]


def test_many_rules_are_paged_by_their_names(admin_client: Client, tenant: Tenant) -> None:
    RateLimit.objects.bulk_create(
        RateLimit(organization=tenant.organization, name=f"r{number:03}", limit=1, unit="requests_per_day", mode="off")
        for number in range(120)
    )
    AccessRule.objects.bulk_create(
        AccessRule(organization=tenant.organization, name=f"r{number:03}", allow={}, mode="off") for number in range(5)
    )
    seen, query = [], ""
    for _ in range(4):
        answer = admin_client.get(f"/rules{query}")
        seen += [(row.rule.name, row.type.slug) for row in answer.context["rows"]]
        query = f"?after={answer.context['listing'].next}"
        if not answer.context["listing"].next:
            break
    assert len(seen) == len(set(seen)) == 125
    assert [name for name, _ in seen] == sorted(name for name, _ in seen)


def test_a_change_and_a_deletion_are_undone_from_the_toast(admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, "budgets")
    data = as_typed("budgets", "mine", BY_SLUG["budgets"].kind.spec(row)) | {"limit_usd": "99"}
    page = admin_client.post(reverse("web:rule-edit", args=["budgets", row.id]), data, follow=True).content.decode()
    row.refresh_from_db()
    assert row.limit_nano_usd == 99 * 10**9
    token = re.search(r"token&quot;: &quot;([^&]+)&quot;|\"token\": \"([^\"]+)\"", page)
    assert token is not None
    undo = reverse("web:rule-undo", args=["budgets", row.id])
    admin_client.post(undo, {"token": token[1] or token[2]})
    row.refresh_from_db()
    assert row.limit_nano_usd == 10 * 10**9

    gone = {"confirm": "mine", "reason": "a test"}
    page = admin_client.post(reverse("web:rule-delete", args=["budgets", row.id]), gone, follow=True).content.decode()
    assert not Budget.objects.filter(organization=tenant.organization).exists()
    token = re.search(r"token&quot;: &quot;([^&]+)&quot;|\"token\": \"([^\"]+)\"", page)
    assert token is not None
    admin_client.post(undo, {"token": token[1] or token[2]})
    assert Budget.objects.get(organization=tenant.organization).name == "mine"
    # A token of another rule undoes nothing.
    other = reverse("web:rule-undo", args=["budgets", uuid4()])
    admin_client.post(other, {"token": token[1] or token[2]})
    assert Budget.objects.filter(organization=tenant.organization).count() == 1


def seen_in(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@SLUGS
def test_of_two_who_change_one_rule_the_second_is_told(slug: str, admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, slug)
    where = reverse("web:rule-edit", args=[slug, row.id])
    seen = seen_in(admin_client.get(where).content.decode())
    typed = as_typed(slug, "mine", BY_SLUG[slug].kind.spec(row)) | {"seen": seen}

    assert admin_client.post(where, typed | {"description": "the first"}).status_code == 302
    told = admin_client.post(where, typed | {"description": "the second"})

    assert told.status_code == 422
    assert "changed this rule at" in told.content.decode()
    assert "while the form was open: description" in told.content.decode()
    row.refresh_from_db()
    assert row.description == "the first"

    again = typed | {"description": "the second", "seen": seen_in(told.content.decode())}
    assert admin_client.post(where, again).status_code == 302
    row.refresh_from_db()
    assert row.description == "the second"


def test_an_undo_takes_nothing_of_somebody_elses_back(admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, "budgets")
    where = reverse("web:rule-edit", args=["budgets", row.id])
    typed = as_typed("budgets", "mine", BY_SLUG["budgets"].kind.spec(row))
    page = admin_client.post(where, typed | {"limit_usd": "99"}, follow=True).content.decode()
    token = re.search(r"token&quot;: &quot;([^&]+)&quot;|\"token\": \"([^\"]+)\"", page)
    assert token is not None
    admin_client.post(where, typed | {"limit_usd": "98"})

    undone = admin_client.post(
        reverse("web:rule-undo", args=["budgets", row.id]), {"token": token[1] or token[2]}, follow=True
    )

    assert "changed again meanwhile" in undone.content.decode()
    row.refresh_from_db()
    assert row.limit_nano_usd == 98 * 10**9


def test_deleting_needs_the_name_typed(admin_client: Client, tenant: Tenant) -> None:
    row = a_rule(tenant, "rate-limits")
    where = reverse("web:rule-delete", args=["rate-limits", row.id])
    assert admin_client.post(where, {"confirm": "other", "reason": "a test"}).status_code == 422
    assert RateLimit.objects.filter(id=row.id).exists()


@SLUGS
def test_another_organizations_rules_are_not_there(
    slug: str, admin_client: Client, tenant: Tenant, other: Tenant
) -> None:
    foreign = a_rule(other, slug, name="foreign")
    for name in ("rule", "rule-edit", "rule-delete", "rule-undo"):
        where = reverse(f"web:{name}", args=[slug, foreign.id])
        assert admin_client.get(where).status_code in (404, 405), name
        if name != "rule-undo":
            assert admin_client.post(where, {"name": "x"}).status_code in (404, 405), name
    assert admin_client.post(reverse("web:rule-preview", args=[slug]) + f"?rule={foreign.id}", {}).status_code == 404
    assert "foreign" not in admin_client.get("/rules").content.decode()
    other_kind = next(each for each in ORDINARY if each != slug)
    own = a_rule(tenant, slug)
    assert admin_client.get(reverse("web:rule", args=[other_kind, own.id])).status_code == 404


@pytest.mark.parametrize(
    ("role", "sees", "budgets", "others"),
    [
        (Role.ADMIN, 200, 200, 200),
        (Role.FINANCE, 200, 200, 404),
        (Role.AUDITOR, 200, 404, 404),
        (Role.TEAM_LEAD, 404, 404, 404),
        (Role.MEMBER, 404, 404, 404),
    ],
)
def test_who_sees_and_who_changes_rules(
    role: Role, sees: int, budgets: int, others: int, tenant: Tenant, sign_in: SignIn
) -> None:
    budget, rate = a_rule(tenant, "budgets"), a_rule(tenant, "rate-limits")
    client = sign_in(a_person_of_role(tenant, role))
    assert client.get("/rules").status_code == sees
    assert client.get(reverse("web:rule", args=["rate-limits", rate.id])).status_code == sees
    assert client.get(reverse("web:rule-edit", args=["budgets", budget.id])).status_code == budgets
    assert client.get(reverse("web:rule-edit", args=["rate-limits", rate.id])).status_code == others
    assert client.get(reverse("web:rule-add", args=["access-rules"])).status_code == others


def test_a_team_lead_sets_budgets_of_the_own_team_where_that_is_delegated(tenant: Tenant, sign_in: SignIn) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    tenant.team.lead = lead
    tenant.team.save()
    tenant.organization.leads_may_set_budgets = True
    tenant.organization.save()
    client = sign_in(lead)
    data = {"name": "ours", "limit_usd": "20", "period": "week", "mode": "enforce", "bound": "strict", "grace": "none"}
    data |= {"on_counter_outage": "bounded", "subjects": f"team:{tenant.team.name}"}
    assert client.post(reverse("web:rule-add", args=["budgets"]), data).status_code == 422
    assert client.post(reverse("web:rule-add", args=["budgets"]), data | {"team": "elsewhere"}).status_code == 422
    answer = client.post(reverse("web:rule-add", args=["budgets"]), data | {"team": tenant.team.name})
    assert answer.status_code == 302
    made = Budget.objects.get(organization=tenant.organization)
    assert made.team_id == tenant.team.id
    assert client.get(reverse("web:budget", args=[made.id])).status_code == 200
    whole = a_rule(tenant, "budgets", name="whole")
    assert client.get(reverse("web:rule-edit", args=["budgets", whole.id])).status_code == 404
    # Nor may the team's budget be made the organization's.
    edit = reverse("web:rule-edit", args=["budgets", made.id])
    assert client.post(edit, data | {"team": ""}).status_code == 422
    made.refresh_from_db()
    assert made.team_id == tenant.team.id


def test_examples_begin_in_shadow(admin_client: Client) -> None:
    for one in RULE_TYPES:
        for example in one.examples:
            answer = admin_client.get(reverse("web:rule-add", args=[one.slug]) + f"?example={example.slug}")
            assert answer.context["form"]["mode"].value() == "shadow"
            assert answer.context["form"]["name"].value() == example.name
            assert answer.context["sentence"], example.slug


def test_a_new_cap_begins_with_three_retries_and_one_without_them_stays_so(
    admin_client: Client, tenant: Tenant
) -> None:
    new = admin_client.get(reverse("web:rule-add", args=["session-caps"]))
    assert new.context["form"]["max_request_retries"].value() == "3"
    cap = a_rule(tenant, "session-caps", name="runaway")
    edit = admin_client.get(reverse("web:rule-edit", args=["session-caps", cap.id]))
    assert edit.context["form"]["max_turns"].value() == 400
    assert edit.context["form"]["max_request_retries"].value() is None


def test_an_example_whose_name_is_taken_gets_another_one_and_says_what_it_means(
    admin_client: Client, tenant: Tenant
) -> None:
    address = reverse("web:rule-add", args=["budgets"]) + "?example=daily"
    for name in ("daily-allowance", "daily-allowance-2"):
        assert admin_client.get(address).context["form"]["name"].value() == name
        a_budget(tenant, name=name)
    answer = admin_client.get(address)
    assert answer.context["form"]["name"].value() == "daily-allowance-3"
    assert "Each person" in answer.context["sentence"]
    assert not answer.context["preview_problems"]
