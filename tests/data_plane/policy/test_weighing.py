from dataclasses import replace
from typing import Any

import pytest

from data_plane.policy.claims import (
    FIRST,
    SECOND,
    BudgetClaim,
    RateKind,
    StageLine,
    counter_for,
    percent_of,
    stage_at,
)
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.routing import resolve
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.policy.weighing import Weighed, weigh
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2 as usage
from tests.builders.rules import (
    DAY_MS,
    HOUR_MS,
    SHADOW,
    a_budget,
    a_price,
    a_rate_limit,
    a_session_cap,
    alert,
    an_access_rule,
    block,
    downgrade,
    every,
    hours,
    usd,
    when,
)
from tests.data_plane.policy.builders import (
    BOT,
    CLAUDE_MAIN,
    NOW_MS,
    OPENAI_MAIN,
    ORG,
    TEAM,
    USER,
    a_caller,
    a_key,
    a_policy,
    a_policy_shard,
    a_provider,
    a_token,
)

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
PRICES = [a_price(OPUS, 5, 25), a_price("claude-sonnet-4-6", 3, 15), a_price(HAIKU, 1, 5), a_price("gpt-5.1", 1.25, 10)]
DAYS = (NOW_MS - 1000, NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS)


def a_world(*, bot: bool = False, **fields: Any) -> tuple[PolicySnapshot, Caller]:
    people = [
        pb.Principal(id=USER, kind=pb.PRINCIPAL_KIND_USER, name="ada@acme.example", active=True, role="member"),
        pb.Principal(id=BOT, kind=pb.PRINCIPAL_KIND_SERVICE_ACCOUNT, name="ci", active=True),
    ]
    providers = [
        a_provider(models=["claude-*"]),
        a_provider(OPENAI_MAIN, "openai-main", vendor="openai", models=["gpt-5.1"]),
    ]
    token = a_token()
    key = a_key(token, principal_id=BOT if bot else USER)
    given = {"principals": people, "prices": PRICES, "providers": providers, "models": [], **fields}
    policy = a_policy(keys=[key], policy=a_policy_shard(**given))
    return policy, a_caller(policy, token)


def ask(world: tuple[PolicySnapshot, Caller], model: str = OPUS, **changes: Any) -> Weighed | Refusal:
    policy, caller = world
    protocol = changes.pop("protocol", "anthropic_messages")
    destination = resolve(policy, caller, model, protocol)
    assert not isinstance(destination, Refusal), destination.sentence
    given: dict[str, Any] = {
        "requested": model,
        "protocol": protocol,
        "operation": "generate",
        "client": "claude-code",
        "request_tags": {},
        "has_session": True,
        "at_ms": NOW_MS,
    }
    return weigh(policy, caller, destination, **{**given, **changes})


def weighed(world: tuple[PolicySnapshot, Caller], model: str = OPUS, **changes: Any) -> Weighed:
    found = ask(world, model, **changes)
    assert isinstance(found, Weighed), found
    return found


def budgets(found: Weighed) -> list[tuple[str, str, int]]:
    return [(claim.budget_name, claim.counter, claim.limit) for claim in found.claims.budgets]


def seen(found: Weighed) -> list[usage.RuleSeen]:
    return list(usage.UsageEvent.FromString(found.claims.rules_seen).rules.rules)


# -- which apply

SENIORS, EVERYBODY_ELSE, ALL_OPUS = (
    a_budget("seniors", 50, when=when(f"team:{TEAM}"), group="daily", per=["principal"], periods=every("day", DAYS)),
    a_budget("everybody-else", 10, group="daily", per=["principal"], periods=every("day", DAYS)),
    a_budget("all-opus", 1000, when=when(models=("*opus*",)), periods=every("month", DAYS)),
)


def test_seniors_50_a_day_everybody_else_10_all_opus_together_1000_a_month() -> None:
    rules = [SENIORS, EVERYBODY_ELSE, ALL_OPUS]
    senior = a_world(budgets=rules)
    other = a_world(budgets=[pb.Budget(), *rules][1:], teams=[pb.Team(id="9" * 32, name="juniors"), pb.Team(id=TEAM)])
    junior = (other[0], replace(other[1], team_id="9" * 32, team_name="juniors"))

    assert budgets(weighed(senior)) == [("all-opus", "", usd(1000)), ("seniors", USER, usd(50))]
    assert budgets(weighed(senior, HAIKU)) == [("seniors", USER, usd(50))]
    assert budgets(weighed(junior)) == [("all-opus", "", usd(1000)), ("everybody-else", USER, usd(10))]
    assert budgets(weighed(junior, HAIKU)) == [("everybody-else", USER, usd(10))]


def test_a_rule_by_user_is_not_about_service_accounts() -> None:
    rules = [a_budget("people", per=["user"]), a_budget("robots", per=["service_account"])]

    assert budgets(weighed(a_world(budgets=rules))) == [("people", USER, usd(10))]
    robot = weighed(a_world(budgets=rules, bot=True))
    assert budgets(robot) == [("robots", BOT, usd(10))]
    assert [(each.name, each.why_not) for each in seen(robot) if not each.matched] == [
        ("people", "per user: a service account calls")
    ]


def test_counters_are_by_the_values_of_per_in_their_order() -> None:
    per = ["organization", "team", "principal", "key", "model", "provider", "session", "metadata.env", "metadata.x"]
    world = a_world(budgets=[a_budget(per=per)])

    (claim,) = weighed(world, request_tags={"env": "prod", "x": "a/b"}).claims.budgets

    key_id = world[1].key_id
    # What the team says of "env" wins over the request.
    assert claim.counter == f"{ORG}/{TEAM}/{USER}/{key_id}/{OPUS}/{CLAUDE_MAIN}/{{session}}/team/a%2Fb"
    assert claim.counts_session
    assert counter_for(claim.counter, "s/1").split("/")[6] == "s%2F1"
    assert len(counter_for("{session}", "x" * 300)) == 64


def test_what_is_missing_has_one_counter_and_not_a_fresh_one() -> None:
    world = a_world(budgets=[a_budget(per=["metadata.ticket", "session"])])

    (claim,) = weighed(world, has_session=False).claims.budgets

    assert (claim.counter, claim.counts_session) == (f"other/{world[1].key_id}", False)


def test_a_value_that_is_not_allowed_counts_as_other() -> None:
    keys = [pb.MetadataKey(key="ticket", values=["a"], counts_unknown_as_other=True)]
    world = a_world(budgets=[a_budget(per=["metadata.ticket"])], metadata_keys=keys)

    assert budgets(weighed(world, request_tags={"ticket": "a"})) == [("budget", "a", usd(10))]
    assert budgets(weighed(world, request_tags={"ticket": "b"})) == [("budget", "other", usd(10))]


def test_request_rates_look_at_the_name_asked_for_and_money_at_the_model() -> None:
    rates = [
        a_rate_limit("requests", per=["model"]),
        a_rate_limit("tokens", per=["model"], unit=pb.RATE_UNIT_TOKENS),
    ]
    found = weighed(a_world(rate_limits=rates, budgets=[a_budget(per=["model"])]), "fast")

    counters = [(claim.rule_name, claim.counter) for claim in found.claims.rates]
    assert counters == [("requests", "fast"), ("tokens", HAIKU)]
    assert budgets(found) == [("budget", HAIKU, usd(10))]


@pytest.mark.parametrize(
    "name", [OPUS, f"anthropic-main/{OPUS}", f"{OPUS}-20260101", f"anthropic-main/{OPUS}-20260101"]
)
def test_a_model_is_one_model_by_whatever_name_it_is_asked_for(name: str) -> None:
    rates = [a_rate_limit(per=["model"]), a_rate_limit("opus", when=when(models=(OPUS,)))]
    world = a_world(rate_limits=rates, budgets=[a_budget(per=["model"], when=when(models=(OPUS,)))])

    found = weighed(world, name)

    assert [claim.counter for claim in found.claims.rates] == ["", OPUS]
    assert budgets(found) == [("budget", OPUS, usd(10))]


# -- what is claimed


def test_a_minute_slides_a_day_starts_anew_and_slots_are_held() -> None:
    rates = [
        a_rate_limit("a-minute", limit=60, burst=5),
        a_rate_limit("b-day", limit=7, periods=every("day", DAYS, "Europe/Berlin")),
        a_rate_limit("c-slots", limit=3, unit=pb.RATE_UNIT_CONCURRENT_REQUESTS, per=["key"], contact="ops"),
    ]

    minute, day, slots = weighed(a_world(rate_limits=rates)).claims.rates

    assert (minute.kind, minute.window_us, minute.limit, minute.burst) == (RateKind.SLIDING, 60_000_000, 60, 5)
    assert (day.kind, day.period, day.period_end_ms, day.timezone) == (
        RateKind.PERIOD,
        str(DAYS[0]),
        DAYS[1],
        "Europe/Berlin",
    )
    assert (slots.kind, slots.reason, slots.counts) == (RateKind.CONCURRENT, Reason.CONCURRENCY_LIMITED, "key laptop")
    # Whom to ask: the rule's own, else the organization's.
    assert (slots.contact, day.contact) == ("ops", "platform@acme.example")


def test_what_an_account_takes_is_claimed_for_all_callers_together() -> None:
    limits = pb.ProviderLimits(concurrent_requests=200, requests_per_minute=4000, tokens_per_minute=10**6)
    world = a_world(providers=[a_provider(models=["*"], limits=limits)], virtual_models=[])

    claims = weighed(world).claims.rates

    assert {claim.source for claim in claims} == {"provider_limit"}
    assert [(claim.rule_id, claim.counter, claim.kind, claim.limit) for claim in claims] == [
        (CLAUDE_MAIN, "concurrent_requests", RateKind.CONCURRENT, 200),
        (CLAUDE_MAIN, "requests_per_minute", RateKind.SLIDING, 4000),
        (CLAUDE_MAIN, "tokens_per_minute", RateKind.SLIDING, 10**6),
    ]


def test_the_lines_of_a_budget_are_in_dollars() -> None:
    stages = [alert(80, "team lead"), downgrade(HAIKU, at=95), alert(100, "finance", "team lead"), block(110)]
    budget = a_budget(
        dollars=10,
        stages=stages,
        grace_turn_nano_usd=usd(0.5),
        outage_allowance_nano_usd=usd(0.25),
        periods=every("day", DAYS, "Europe/Berlin"),
    )

    (claim,) = weighed(a_world(budgets=[budget])).claims.budgets

    assert (claim.limit, claim.soft, claim.hard, claim.downgrade_at) == (usd(10), usd(11), usd(11), usd(9.5))
    assert (claim.grace, claim.allowance, claim.outage, claim.is_strict) == (usd(0.5), usd(0.25), "bounded", False)
    assert (claim.span, claim.timezone) == ("day", "Europe/Berlin")
    assert [stage_at(claim, usd(spent)) for spent in (7.99, 8, 9.6, 10.99, 11)] == [
        "",
        "alert",
        "downgrade",
        "alert",
        "block",
    ]
    assert claim.stages[0] == StageLine(usd(8), "alert", ("team lead",))
    assert percent_of(claim, usd(9.99)) == 99


def test_a_budget_without_a_block_only_warns() -> None:
    (claim,) = weighed(a_world(budgets=[a_budget(stages=[alert(80)])])).claims.budgets

    assert (claim.soft, claim.hard, claim.downgrade_at) == (-1, -1, -1)


def test_raises_hold_for_their_counter_and_their_time() -> None:
    budget = a_budget(
        per=["principal"],
        raises=[
            pb.Raise(id="1", counter="", amount_nano_usd=usd(1), from_ms=NOW_MS - 5, until_ms=NOW_MS + 5000),
            pb.Raise(id="2", counter=USER, amount_nano_usd=usd(2), from_ms=NOW_MS + 2000, until_ms=NOW_MS + 9000),
            pb.Raise(id="3", counter=BOT, amount_nano_usd=usd(4), from_ms=0, until_ms=NOW_MS + 9000),
        ],
    )
    world = a_world(budgets=[budget])

    limits = [
        (claim.limit, found.claims.valid_until_ms - NOW_MS)
        for at_ms in (NOW_MS, NOW_MS + 2000, NOW_MS + 5000, NOW_MS + 9000)
        if (found := weighed(world, at_ms=at_ms)) and (claim := found.claims.budgets[0])
    ]

    assert [limit for limit, _ in limits] == [usd(11), usd(13), usd(12), usd(10)]
    assert [left for _, left in limits[:3]] == [2000, 5000, 9000]


def test_a_session_whose_own_counter_is_raised_is_weighed_by_itself() -> None:
    own = pb.Raise(id="1", counter="s%2F1", amount_nano_usd=usd(5), from_ms=0, until_ms=NOW_MS + 1)
    world = a_world(budgets=[a_budget(per=["session"], raises=[own])])

    everybody = weighed(world)
    raised = weighed(world, session_id="s/1")

    assert everybody.raised_sessions == {"s/1"}
    assert [claim.limit for found in (everybody, raised) for claim in found.claims.budgets] == [usd(10), usd(15)]


def test_what_is_weighed_holds_until_the_next_instant_that_matters() -> None:
    def left(**fields: Any) -> int:
        return weighed(a_world(**fields)).claims.valid_until_ms - NOW_MS

    soon = hours((NOW_MS - 9, NOW_MS + 70), (NOW_MS + 90, NOW_MS + 99))
    later = hours((NOW_MS + 40, NOW_MS + 99))
    assert left(budgets=[a_budget(periods=every("day", DAYS))]) == DAY_MS
    assert left(budgets=[a_budget(when=when(hours=soon))]) == 70
    assert left(rate_limits=[a_rate_limit(when=when(f"team:{TEAM}", hours=later))]) == 40
    assert left(access_rules=[an_access_rule(allow=pb.Parts(), when_not=[when(hours=later)])]) == 40
    assert left(prices=[*PRICES[1:], a_price(OPUS, 1, 1, valid_to_ms=NOW_MS + 7)]) == 7


def test_without_rules_there_is_nothing_to_ask_and_it_holds_for_ever() -> None:
    found = weighed(a_world())

    assert (found.claims.rates, found.claims.budgets, found.claims.rules_seen) == ((), (), b"")
    assert found.claims.valid_until_ms > 2**60


# -- shadows


def test_a_shadow_is_claimed_like_an_enforced_one_and_marked() -> None:
    stages = [downgrade(HAIKU), block()]
    enforced = weighed(a_world(budgets=[a_budget(stages=stages)])).claims.budgets[0]
    shadow = weighed(a_world(budgets=[a_budget(stages=stages, mode=SHADOW)])).claims.budgets[0]

    assert shadow.is_shadow
    assert [getattr(shadow, name) for name in ("limit", "soft", "hard", "downgrade_at", "counter", "period")] == [
        getattr(enforced, name) for name in ("limit", "soft", "hard", "downgrade_at", "counter", "period")
    ]


def test_a_shadow_offers_no_other_model() -> None:
    found = weighed(a_world(budgets=[a_budget(stages=[downgrade(HAIKU), block()], mode=SHADOW)]))

    assert (found.second, found.move) == (None, None)


# -- the other model


def test_the_first_name_in_the_list_that_can_be_used_is_the_other_model() -> None:
    names = ["gpt-5.1", "no-such-model", OPUS, "claude-old", "claude-free", "claude-denied", HAIKU, "fast"]
    world = a_world(
        budgets=[a_budget(stages=[downgrade(*names, uncached_input_tokens_below=9000), block()])],
        access_rules=[
            an_access_rule("all", allow=pb.Parts()),
            an_access_rule("no", deny=pb.Parts(models=["*denied"])),
        ],
        prices=[*PRICES, a_price("claude-denied", 1, 1), a_price("claude-old", 1, 1)],
        model_facts=[pb.ModelFacts(vendor="anthropic", model="claude-old", retired_at_ms=NOW_MS)],
    )

    found = weighed(world)

    assert found.second is not None
    assert (found.second.asked, found.second.destination.model, found.second.bit) == (HAIKU, HAIKU, SECOND)
    assert found.move is not None
    assert (found.move.budget_ids, found.move.uncached_input_tokens_below) == (("id-budget",), 9000)
    assert [(each.model, each.why.partition(",")[0]) for each in found.dropped] == [
        ("gpt-5.1", "“gpt-5.1” is served by openai-main (openai)"),
        ("no-such-model", "No model “no-such-model” is offered here"),
        (OPUS, "is the model that was asked for"),
        ("claude-old", "is retired"),
        ("claude-free", "no price is known for claude-free"),
        ("claude-denied", "the access rule “no” denies it"),
    ]


def test_what_will_retire_is_looked_at_again_when_it_has() -> None:
    facts = [pb.ModelFacts(vendor="anthropic", model=HAIKU, retired_at_ms=NOW_MS + 60)]
    world = a_world(budgets=[a_budget(stages=[downgrade(HAIKU), block()])], model_facts=facts)

    assert weighed(world).claims.valid_until_ms == NOW_MS + 60
    assert weighed(world, at_ms=NOW_MS + 60).second is None


def test_the_money_of_the_other_model_is_counted_where_that_model_counts() -> None:
    rules = [
        a_budget("all", 1, stages=[downgrade(HAIKU), block()]),
        a_budget("by-model", 2, per=["model"]),
        a_budget("haiku", 3, when=when(models=("*haiku*",))),
        a_budget("opus", 4, when=when(models=("*opus*",))),
    ]
    rates = [a_rate_limit("opus", when=when(models=("*opus*",)), per=["model"])]
    found = weighed(a_world(budgets=rules, rate_limits=rates))

    assert [(claim.budget_name, claim.counter, claim.candidates) for claim in found.claims.budgets] == [
        ("all", "", FIRST | SECOND),
        ("by-model", OPUS, FIRST),
        ("by-model", HAIKU, SECOND),
        ("haiku", "", SECOND),
        ("opus", "", FIRST),
    ]
    # Requests belong to the name that was asked for, whoever answers.
    assert [(claim.counter, claim.candidates) for claim in found.claims.rates] == [(OPUS, FIRST | SECOND)]


def test_only_budgets_that_name_the_other_model_move_turns_there() -> None:
    rules = [
        a_budget("a", stages=[downgrade(HAIKU, cache_aware=True), block()]),
        a_budget("b", stages=[downgrade("claude-sonnet-4-6", HAIKU, at=50), block()]),
        a_budget("c", stages=[downgrade("claude-sonnet-4-6"), block()]),
    ]

    found = weighed(a_world(budgets=rules))

    assert found.move is not None
    assert (found.move.asked, found.move.budget_ids, found.move.cache_aware) == (HAIKU, ("id-a", "id-b"), True)
    assert [claim.downgrade_at for claim in found.claims.budgets] == [usd(9.5), usd(5), -1]


# -- what the event says


def test_the_rules_that_count_are_seen_in_the_order_of_the_claims() -> None:
    world = a_world(
        access_rules=[an_access_rule(allow=pb.Parts())],
        budgets=[a_budget("b2"), a_budget("b1"), a_budget("no", when=when(models=("gpt-*",)))],
        rate_limits=[a_rate_limit("r"), a_rate_limit("not-me", when=when(clients=["codex"]))],
        session_caps=[a_session_cap(max_cost_nano_usd=usd(5), max_turns=9, per_key_hour_factor=2)],
    )

    found = weighed(world)

    counting = [each for each in seen(found) if each.candidates]
    claims = [(claim.rule_id, claim.counter) for claim in found.claims.rates]
    claims += [(claim.budget_id, claim.counter) for claim in found.claims.budgets]
    assert [(each.id, each.counter) for each in counting] == claims
    assert [(each.kind, each.name, each.why_not) for each in seen(found) if not each.matched] == [
        ("rate", "not-me", "clients"),
        ("budget", "no", "models"),
    ]
    assert [each.verdict for each in seen(found) if each.kind == "access"] == ["allowed"]


def test_a_rule_that_gives_way_says_to_which() -> None:
    found = weighed(a_world(budgets=[SENIORS, EVERYBODY_ELSE]))

    assert [(each.name, each.why_not) for each in seen(found) if not each.matched] == [
        ("everybody-else", "group: seniors")
    ]


def test_of_many_rules_those_about_others_are_counted_and_those_about_the_caller_kept() -> None:
    others = [a_budget(f"other{number:03}", when=when(f"service_account:{BOT}")) for number in range(60)]
    mine = [a_budget(f"mine{number}", when=when(models=("gpt-*",))) for number in range(3)]

    found = weighed(a_world(budgets=[*others, *mine]))

    assert [(each.kind, each.name, each.why_not) for each in seen(found)] == [
        ("budget", "mine0", "models"),
        ("budget", "mine1", "models"),
        ("budget", "mine2", "models"),
        ("budget", "60 more", "subjects"),
    ]


def test_of_very_many_rules_about_the_caller_the_ids_are_enough() -> None:
    rules = [a_budget(f"b{number:03}", when=when(models=("gpt-*",))) for number in range(100)]

    found = weighed(a_world(budgets=rules))

    assert len(seen(found)) == 100
    assert {each.name for each in seen(found)} == {""}
    assert all(each.id and each.why_not == "models" for each in seen(found))


# -- what has no price


@pytest.mark.parametrize("operation", ["generate", "embed", "count_tokens"])
def test_an_organization_may_refuse_what_has_no_price(operation: str) -> None:
    answer = ask(a_world(unknown_models="refuse"), "claude-new", operation=operation)

    if operation == "count_tokens":
        assert isinstance(answer, Weighed)
        return
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.UNPRICED_MODEL
    assert answer.message == (
        "No price is known for “claude-new” at anthropic-main, and models without a price are not served here. "
        "Somebody who keeps prices can enter one, 0 included. Ask platform@acme.example."
    )


def test_what_has_no_price_is_held_at_the_dearest_one_known() -> None:
    answer = ask(a_world(budgets=[a_budget()]), "claude-new")

    assert isinstance(answer, Weighed)
    assert answer.first.tariff is not None
    assert answer.first.tariff.price.model == OPUS


def test_a_budget_does_not_let_money_be_spent_that_it_cannot_see() -> None:
    answer = ask(a_world(budgets=[a_budget(contact="finance")], unknown_models="refuse"), "claude-new")

    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.UNPRICED_MODEL
    assert answer.message == (
        "No price is known for “claude-new” at anthropic-main, and the budget “budget” counts money. "
        "Somebody who keeps prices can enter one, 0 included. Ask finance."
    )


@pytest.mark.parametrize(
    ("rules", "operation"),
    [([a_budget(stages=[alert()])], "generate"), ([a_budget(mode=SHADOW)], "generate"), ([a_budget()], "count_tokens")],
)
def test_one_that_blocks_nothing_does(rules: list[pb.Budget], operation: str) -> None:
    assert isinstance(ask(a_world(budgets=rules), "claude-new", operation=operation), Weighed)


@pytest.mark.parametrize(
    ("passthrough", "operation", "why"),
    [(True, "generate", "the caller's own subscription pays"), (False, "count_tokens", "free of charge")],
)
def test_what_costs_nothing_is_no_budgets_business(passthrough: bool, operation: str, why: str) -> None:
    providers = [a_provider(models=["*"], passthrough_caller=passthrough)]
    rules = {
        "budgets": [a_budget(stages=[downgrade(HAIKU), block()])],
        "session_caps": [a_session_cap(max_cost_nano_usd=usd(1))],
        "rate_limits": [a_rate_limit()],
    }

    found = weighed(a_world(**rules, providers=providers, virtual_models=[]), OPUS, operation=operation)

    assert (found.claims.budgets, found.second, len(found.claims.rates)) == ((), None, 1)
    assert ("budget", why) in [(each.kind, each.why_not) for each in seen(found)]


@pytest.mark.parametrize(
    ("passthrough", "counting"), [(True, ["both", "shadow"]), (False, ["both", "paid"])], ids=["subscription", "paid"]
)
def test_a_budget_counts_what_is_paid_what_a_subscription_would_cost_or_both(
    passthrough: bool, counting: list[str]
) -> None:
    budgets = [a_budget(each, counts=each) for each in ("paid", "shadow", "both")]
    providers = [a_provider(models=["*"], passthrough_caller=passthrough)]

    found = weighed(a_world(budgets=budgets, providers=providers, virtual_models=[]), OPUS)

    assert [claim.budget_name for claim in found.claims.budgets] == counting
    assert found.first.tariff is not None
    missed = {each.name: each.why_not for each in seen(found) if each.kind == "budget" and each.why_not}
    if passthrough:
        assert missed == {"paid": "the caller's own subscription pays"}
    else:
        assert missed == {"shadow": "it counts what callers' own subscriptions would cost"}


def test_of_a_group_only_those_that_count_the_exchange_are_alternatives() -> None:
    budgets = [a_budget("paid", 100, group="g"), a_budget("shadow", 10, group="g", counts="shadow")]
    providers = [a_provider(models=["*"], passthrough_caller=True)]

    found = weighed(a_world(budgets=budgets, providers=providers, virtual_models=[]), OPUS)

    assert [claim.budget_name for claim in found.claims.budgets] == ["shadow"]


def test_claims_are_of_the_kind_the_counters_know() -> None:
    (claim,) = weighed(a_world(budgets=[a_budget(periods=every("hour"))])).claims.budgets

    assert isinstance(claim, BudgetClaim)
    assert claim.period == str(NOW_MS - NOW_MS % HOUR_MS)
