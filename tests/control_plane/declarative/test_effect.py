"""A plan says what it means for people: which keys lose what, who used it, where names lead."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control_plane.credentials.models import Provider
from control_plane.declarative.effect import Effect, KeyFacts, Picture, Uses, compare, names_of_interest
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import key_mint
from control_plane.routing.services import virtual_model_set
from control_plane.usage.aggregation import book_waiting
from tests.builders.tenants import Tenant, a_member, a_provider
from tests.control_plane.declarative.world import CAREFULLY, EVERYTHING, Code
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, an_event


def a_picture(routes: dict[str, str], **keys: tuple[str, ...]) -> Picture:
    providers = frozenset(route.partition("/")[0] for route in routes.values())
    facts = {name: KeyFacts(name, globs, f"{name}@example.com", "core") for name, globs in keys.items()}
    return Picture(routes, facts, {}, providers)


def test_globs_decide_which_keys_lose_a_name() -> None:
    before = a_picture({"opus": "a/opus", "haiku": "a/haiku"}, all=(), some=("op*",), other=("haiku",))
    after = a_picture({"haiku": "a/haiku"}, all=(), some=("op*",), other=("haiku",))
    uses = Uses({"opus": frozenset({"some"})}, {"opus": frozenset({"some", "all", "gone"})})
    effect = compare(before, after, uses)
    assert [(each.model, each.keys, each.used_last_day, each.used_last_week) for each in effect.lost] == [
        ("opus", 2, 1, 2)
    ]
    assert effect.sentences == ("2 keys lose opus; 1 of them used it in the last 24 hours.",)
    assert names_of_interest(before, after) == {"opus"}


def test_a_name_without_its_provider_is_the_same_wish() -> None:
    before = a_picture({"a/x": "a/x", "b/x": "b/x"}, one=("x",))
    after = a_picture({"a/x": "a/x"}, one=("x",))
    assert [each.model for each in compare(before, after, Uses()).lost] == ["b/x"]


def test_names_that_lead_elsewhere_are_no_loss() -> None:
    effect = compare(a_picture({"opus": "a/opus"}, one=()), a_picture({"opus": "b/opus"}, one=()), Uses())
    assert (effect.lost, effect.gained) == ((), ())
    assert effect.sentences == ("opus leads to b/opus instead of a/opus.",)


def test_keys_that_end_are_told_as_such_and_not_model_by_model() -> None:
    effect = compare(a_picture({"opus": "a/opus"}, one=(), two=()), a_picture({"opus": "a/opus"}, two=()), Uses())
    assert effect.lost == ()
    assert effect.sentences == ("1 key stops working: one@example.com.",)


def test_nothing_changed_says_nothing() -> None:
    picture = a_picture({"opus": "a/opus"}, one=())
    assert compare(picture, picture, Uses()) == Effect()


@pytest.fixture
def used(code: Code, tenant: Tenant) -> dict[str, VirtualKey]:
    """Three keys: one asked for sonnet an hour ago, one five days ago, one may not."""
    provider = a_provider(tenant)
    virtual_model_set(
        organization=tenant.organization,
        name="sonnet",
        provider=provider,
        model="claude-sonnet-4-6",
        actor=tenant.actor,
    )
    keys = {}
    for name, globs in (("today", ["*"]), ("days-ago", ["son*"]), ("never", ["haiku"])):
        user = a_member(tenant, f"{name}@example.com")
        keys[name] = key_mint(
            organization=tenant.organization, name=name, user=user, team=tenant.team, models=globs, actor=tenant.actor
        ).key
    now = timezone.now()
    events = [
        an_event(
            number,
            at=at,
            organization_id=tenant.organization.id.hex,
            team_id=tenant.team.id.hex,
            provider_id=provider.id.hex,
            provider_name=provider.name,
            key_id=keys[name].key_id,
            principal_id=keys[name].user_id.hex if keys[name].user_id else "",
            requested_model="sonnet",
            price_version="",
        )
        for number, (name, at) in enumerate(
            (("today", now - timedelta(hours=1)), ("days-ago", now - timedelta(days=5))), start=1
        )
    ]
    put(a_batch(events, first_sequence=1))
    assert book_waiting(now=now, ledger_days=396).quarantined == 0
    return keys


def test_a_plan_says_who_loses_a_model_and_who_used_it(code: Code, used: dict[str, VirtualKey]) -> None:
    text = "---\n".join(part for part in code.export().split("---\n") if "kind: VirtualModel" not in part)
    plan = code.plan(text, EVERYTHING)
    (shift,) = [each for each in plan.effect.lost if each.model == "sonnet"]
    assert (shift.keys, shift.used_last_day, shift.used_last_week) == (2, 1, 2)
    assert shift.people == ("days-ago@example.com", "today@example.com")
    assert "2 keys lose sonnet; 1 of them used it in the last 24 hours." in plan.effect.sentences
    assert [shard.rpartition("/")[2] for shard in plan.effect.shards] == ["policy"]


def test_a_plan_says_where_a_name_leads_now(code: Code, used: dict[str, VirtualKey]) -> None:
    text = code.export().replace("model: anthropic-main/claude-sonnet-4-6", "model: anthropic-main/claude-opus-4-6")
    (sentence,) = code.plan(text).effect.sentences
    assert sentence == (
        "sonnet leads to anthropic-main/claude-opus-4-6 instead of anthropic-main/claude-sonnet-4-6; "
        "1 key used it in the last 24 hours."
    )


def test_people_who_go_lose_their_keys_and_the_plan_says_so(code: Code, used: dict[str, VirtualKey]) -> None:
    text = "---\n".join(part for part in code.export().split("---\n") if "today@" not in part)
    plan = code.plan(text, CAREFULLY)
    assert plan.effect.sentences == (
        "1 key stops working; 1 of them used the gateway in the last 24 hours: today@example.com.",
    )
    assert VirtualKey.objects.filter(revoked_at__isnull=True).count() == 3
    assert Provider.objects.count() == 1


def rules(*documents: tuple[str, str, str]) -> str:
    return "---\n".join(f"kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n" for kind, name, spec in documents)


def test_an_access_rule_says_who_loses_a_model_and_who_used_it(code: Code, used: dict[str, VirtualKey]) -> None:
    file = rules(
        ("AccessRule", "all", "{allow: {}}"),
        ("AccessRule", "one", "{when: {subjects: [user:today@example.com]}, deny: {models: [sonnet]}}"),
    )
    (shift,) = code.plan(file).effect.lost
    assert (shift.model, shift.keys, shift.used_last_day) == ("sonnet", 1, 1)
    assert shift.people == ("today@example.com",)


def test_the_first_rule_that_allows_takes_everything_else_away(code: Code, used: dict[str, VirtualKey]) -> None:
    file = rules(("AccessRule", "some", "{when: {subjects: [user:today@example.com]}, allow: {models: [sonnet]}}"))
    effect = code.plan(file).effect
    assert "1 key loses sonnet; 1 of them used it in the last 7 days." in effect.sentences
    assert effect.is_loss


def test_what_depends_on_the_request_is_not_told_as_lost(code: Code, used: dict[str, VirtualKey]) -> None:
    file = rules(
        ("AccessRule", "all", "{when: {clients: [claude-code]}, allow: {}}"),
        ("AccessRule", "night", '{when: {hours: "Mon-Fri 20:00-24:00 UTC"}, deny: {models: ["*"]}}'),
        ("AccessRule", "shadow", '{mode: shadow, deny: {models: ["*"]}}'),
    )
    assert code.plan(file).effect.lost == ()


def test_budgets_say_how_many_get_how_much(code: Code, used: dict[str, VirtualKey]) -> None:
    daily = "period: day, group: daily, per: [principal]"
    file = rules(
        ("Budget", "seniors", f"{{when: {{subjects: [user:today@example.com]}}, limit_usd: 50, {daily}}}"),
        ("Budget", "everybody", f"{{limit_usd: 10, {daily}}}"),
        ("Budget", "opus", '{when: {models: ["*opus*"]}, limit_usd: 1000, period: month}'),
        ("RateLimit", "slow", "{limit: 60, unit: requests_per_minute, per: [user], mode: shadow}"),
        ("SessionCap", "cap", "{max_cost_usd: 2.50, max_turns: 400}"),
    )
    assert set(code.apply(file).effect.sentences) == {
        "1 person gets $50 a day (seniors).",
        "2 people get $10 a day each (everybody).",
        "3 people share $1,000 a month for *opus* (opus).",
        "3 people may make 60 requests a minute each (slow), in shadow, which stops nobody.",
        "Sessions of 3 people end at $2.50 or 400 turns (cap).",
    }
    changed = file.replace("limit_usd: 10,", "limit_usd: 12.5,").replace(
        "limit_usd: 1000", "mode: off, limit_usd: 1000"
    )
    assert set(code.apply(changed).effect.sentences) == {
        "2 people get $12.50 a day each instead of $10 (everybody).",
        "opus is switched off.",
    }
    gone = ("name: seniors}", "name: cap}")
    without = "---\n".join(part for part in code.export().split("---\n") if not any(name in part for name in gone))
    assert set(code.plan(without, EVERYTHING).effect.sentences) == {
        "1 person is no longer held by seniors.",
        "3 people are no longer held by cap.",
    }
