"""Rules in the policy shard: a pod reads what was compiled, and what a pod could not obey is not published."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.access.models import AccessRule
from control_plane.audit.models import Change
from control_plane.budgets.models import Budget, BudgetRaise, Period
from control_plane.budgets.services import budget_create, budget_update
from control_plane.catalog.models import KnownModel
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.organizations.models import Membership, Organization, Role, Team
from control_plane.organizations.services import INSTALLATION, membership_update
from control_plane.organizations.services.tenants import counter_generation_raise
from control_plane.rules.models import MetadataKey
from control_plane.rules.periods import CALENDAR
from control_plane.snapshots.compile import PolicyRows, PrincipalRow, compile_policy, oldest_reader
from control_plane.snapshots.compile_rules import RuleRows, compile_rules
from control_plane.snapshots.consistency import check_policy
from control_plane.snapshots.consistency_rules import check_rules
from control_plane.snapshots.models import ShardHead, Snapshot
from control_plane.snapshots.rule_rows import rule_rows
from control_plane.snapshots.selectors import sealed_shard
from control_plane.snapshots.services import everything_compile, organization_compile
from control_plane.snapshots.shards import policy_shard
from control_plane.usage.models import ModelMeasure
from control_plane.usage.ratios import Facts
from data_plane.policy.conditions_from_proto import Known
from data_plane.policy.rules_from_proto import read_rules
from switchyard_contract.revision import MIN_READER, RULES
from switchyard_contract.seal import VerifyKeys, open_sealed
from switchyard_contract.v1 import snapshot_pb2
from tests.builders.tenants import Tenant, a_member, a_person_of_role, a_provider, a_tenant

ORGANIZATION = Organization(id=UUID(int=1), slug="acme", name="Acme")
TEAM = Team(id=UUID(int=2), organization=ORGANIZATION, name="platform")
ADA = PrincipalRow(UUID(int=3), True, "ada@example.com", True, role="member")
CI = PrincipalRow(UUID(int=4), False, "ci", True)
NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
KNOWN = Known(frozenset([TEAM.id.hex]), frozenset([ADA.id.hex]), frozenset([CI.id.hex]))
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Africa/Cairo", "Pacific/Apia")

IDS = st.uuids()
NAMES = st.text("abcdefghij", min_size=1, max_size=8)
GLOBS = st.lists(st.text("abc*?/-", min_size=1, max_size=8), min_size=1, max_size=3, unique=True)
SUBJECTS = st.lists(
    st.sampled_from(
        [
            f"team:{TEAM.id.hex}",
            f"team:{UUID(int=99).hex}",  # gone
            f"user:{ADA.id.hex}",
            f"user:{UUID(int=98).hex}",  # gone
            f"service_account:{CI.id.hex}",
            "key:abcdefghijkl",
            "role:member",
            "kind:service_account",
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
HOURS = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "windows": st.lists(
            st.fixed_dictionaries(
                {
                    "days": st.lists(st.sampled_from(["mon", "sat", "sun"]), min_size=1, unique=True),
                    "from": st.integers(0, 1439),
                    "until": st.integers(1, 1440),
                }
            ).filter(lambda window: window["from"] != window["until"]),
            min_size=1,
            max_size=3,
        ),
    }
)
PARTS: dict[str, Any] = {
    "subjects": SUBJECTS,
    "models": GLOBS,
    "metadata": st.dictionaries(NAMES, GLOBS, min_size=1, max_size=2),
    "clients": GLOBS,
    "protocols": st.lists(st.sampled_from(["anthropic_messages", "openai_chat"]), min_size=1, unique=True),
    "hours": HOURS,
}
CONDITIONS = st.fixed_dictionaries({}, optional=PARTS)
EXCLUSIONS = st.lists(CONDITIONS.filter(bool), max_size=2)
PER = st.lists(st.sampled_from(["principal", "model", "team", "metadata.project", "session"]), max_size=2, unique=True)


def heads(mode: str = "enforce") -> dict[str, Any]:
    return {
        "id": IDS,
        "organization": st.just(ORGANIZATION),
        "name": NAMES,
        "mode": st.sampled_from([mode, "shadow"]),
        "when": CONDITIONS,
        "when_not": EXCLUSIONS,
        "contact": st.sampled_from(["", "#llm-help"]),
    }


STAGES = st.sampled_from(
    [
        [],
        [{"at": 80, "do": "alert", "notify": ["team_lead", "channel:finance"]}, {"at": 100, "do": "block"}],
        [
            {
                "at": 95,
                "do": "downgrade",
                "to": ["mini", "nano"],
                "when": {"uncached_input_tokens_below": 5},
                "cache_aware": True,
            },
            {"at": 110, "do": "block"},
        ],
    ]
)
BUDGETS = st.builds(
    Budget,
    **heads(),
    group=st.sampled_from(["", "g"]),
    per=PER,
    limit_nano_usd=st.integers(1000, 10**17),
    period=st.sampled_from(Period.values),
    timezone=st.sampled_from(ZONES),
    anchor=st.integers(1, 7),
    stages=STAGES,
    bound=st.sampled_from(["strict", "calibrated"]),
    on_counter_outage=st.sampled_from(["deny", "bounded", "allow"]),
    outage_allowance_percent=st.integers(0, 100),
    grace_nano_usd=st.integers(0, 10**12),
)
RATES = st.builds(
    RateLimit,
    **heads(),
    group=st.sampled_from(["", "g"]),
    per=PER,
    limit=st.integers(1, 10**12),
    unit=st.sampled_from(Unit.values),
    burst=st.integers(0, 100),
    timezone=st.sampled_from(ZONES),
)
CAPS = st.builds(
    SessionCap,
    **heads(),
    group=st.just(""),
    max_cost_nano_usd=st.none() | st.integers(1000, 10**14),
    max_turns=st.none() | st.integers(1, 10**6),
    per_key_hour_factor=st.integers(0, 1000),
)
GRANTS = st.none() | st.fixed_dictionaries({}, optional={"models": GLOBS, "regions": GLOBS, "external": st.just(False)})
ACCESS = st.builds(AccessRule, **heads(), allow=GRANTS, deny=st.none() | st.just({"external": True}))
ALL_ALLOWED = ("enforce", {}, [], {}, None)
"""What holds without rules too."""
KEYS = st.lists(
    st.builds(
        MetadataKey,
        id=IDS,
        organization=st.just(ORGANIZATION),
        name=NAMES,
        values=st.lists(NAMES, max_size=3, unique=True),
        pattern=st.sampled_from(["", "[a-z]+"]),
        unknown=st.sampled_from(["refuse", "other"]),
    ),
    max_size=3,
    unique_by=lambda key: key.name,
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@settings(max_examples=120, deadline=None)
@given(
    budgets=st.lists(BUDGETS, max_size=3),
    rates=st.lists(RATES, max_size=3),
    caps=st.lists(CAPS, max_size=2),
    access=st.lists(ACCESS, max_size=2),
    keys=KEYS,
    raised=st.integers(1, 10**15),
    now=MOMENTS,
)
def test_a_pod_reads_whatever_is_compiled_and_nothing_is_found_wrong(
    budgets: list[Budget],
    rates: list[RateLimit],
    caps: list[SessionCap],
    access: list[AccessRule],
    keys: list[MetadataKey],
    raised: int,
    now: datetime,
) -> None:
    raises = [
        BudgetRaise(
            id=UUID(int=number),
            budget=budget,
            amount_nano_usd=raised,
            from_at=now - timedelta(days=1),
            until_at=now + timedelta(days=1),
        )
        for number, budget in enumerate(budgets)
    ]
    rules = RuleRows(
        now=now,
        access_rules=access,
        rate_limits=rates,
        session_caps=caps,
        budgets=budgets,
        raises=raises,
        metadata_keys=keys,
        successors={"abcdefghijkl": ["mnopqrstuvwx"]},
    )
    policy = compile_policy(PolicyRows(ORGANIZATION, "", teams=[TEAM], principals=[ADA, CI], rules=rules))

    assert check_policy(policy) + check_rules(policy, {}, now) == []
    read = read_rules("org/x/policy", policy, KNOWN)

    assert {rule.id: rule.limit for rule in read.budgets} == {row.id.hex: row.limit_nano_usd for row in budgets}
    assert {rule.id: rule.limit for rule in read.rates} == {row.id.hex: row.limit for row in rates}
    assert {rule.id for rule in read.caps} == {row.id.hex for row in caps}
    assert {rule.id: rule.is_shadow for rule in read.access} == {row.id.hex: row.mode == "shadow" for row in access}
    assert [key.key for key in read.metadata_keys] == sorted(key.name for key in keys)
    for row in (*budgets, *rates, *caps, *access):
        told = next(rule for rule in (*read.budgets, *read.rates, *read.caps, *read.access) if rule.id == row.id.hex)
        # Whoever is named and gone must not make a rule one about everybody.
        assert bool(told.when.subjects) == ("subjects" in row.when)
        assert told.when.parts == sum(len(row.when[part]) if part == "metadata" else 1 for part in row.when)
    narrows = [row for row in access if (row.mode, row.when, row.when_not, row.allow, row.deny) != ALL_ALLOWED]
    assert oldest_reader(policy) == (RULES if (budgets or rates or caps or narrows or keys) else MIN_READER)


def test_a_rule_that_allows_everything_asks_for_no_newer_pods() -> None:
    mode, when, when_not, allow, deny = ALL_ALLOWED
    rule = AccessRule(
        id=UUID(int=5),
        organization=ORGANIZATION,
        name="everything",
        mode=mode,
        when=when,
        when_not=when_not,
        allow=allow,
        deny=deny,
    )

    def reader() -> int:
        return oldest_reader(compile_policy(PolicyRows(ORGANIZATION, "", rules=RuleRows(now=NOW, access_rules=[rule]))))

    assert reader() == MIN_READER
    rule.deny = {"external": True}
    assert reader() == RULES


@settings(max_examples=60, deadline=None)
@given(unit=st.sampled_from(CALENDAR), zone=st.sampled_from(ZONES), now=MOMENTS)
def test_a_day_later_pods_still_know_five_weeks(unit: str, zone: str, now: datetime) -> None:
    budget = Budget(
        id=UUID(int=5), organization=ORGANIZATION, name="b", limit_nano_usd=1000, period=unit, timezone=zone, anchor=1
    )
    policy = compile_policy(PolicyRows(ORGANIZATION, "", rules=RuleRows(now=now, budgets=[budget])))

    assert check_rules(policy, {}, now) == []
    # A day on, before anything is compiled anew: the first periods may be over, none is missing.
    policy.budgets[0].periods.starts_ms[0] = min(policy.budgets[0].periods.starts_ms[0], int(now.timestamp() * 1000))
    assert check_rules(policy, {}, now + timedelta(days=1)) == []


def test_what_no_pod_could_obey_is_found() -> None:
    budget = snapshot_pb2.Budget(
        id="1",
        name="b",
        mode=snapshot_pb2.RULE_MODE_ENFORCE,
        when=snapshot_pb2.Condition(subjects=["team:gone"]),
        when_not=[snapshot_pb2.Condition()],
        per=["person", "person"],
        stages=[
            snapshot_pb2.Stage(at_percent=100, action=snapshot_pb2.STAGE_ACTION_BLOCK),
            snapshot_pb2.Stage(at_percent=80, action=snapshot_pb2.STAGE_ACTION_DOWNGRADE),
        ],
        periods=snapshot_pb2.Periods(unit="day", starts_ms=[5]),
        raises=[snapshot_pb2.Raise(amount_nano_usd=1, from_ms=2, until_ms=1)],
    )
    rate = snapshot_pb2.RateLimit(id="2", name="r", mode=snapshot_pb2.RULE_MODE_ENFORCE)

    findings = check_rules(snapshot_pb2.PolicyShard(budgets=[budget, budget], rate_limits=[rate]), {}, NOW)

    assert {(finding.path, finding.problem) for finding in findings} == {
        ("budgets/1", "is there 2 times"),
        ("budgets/b", "names team:gone, which is not there"),
        ("budgets/b", "excludes every exchange"),
        ("budgets/b", "has no limit above 0"),
        ("budgets/b", "has stages that do not ascend"),
        ("budgets/b", "downgrades to nothing, or names models where it does not"),
        ("budgets/b", "has a raise of nothing"),
        ("budgets/b", "counts by the same twice"),
        ("budgets/b", "counts by person, which is nothing"),
        ("budgets/b", "has periods that do not tile time"),
        ("rate_limits/r", "has no limit above 0, or counts nothing"),
        ("rate_limits/r", "has periods that do not tile time"),
    }


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    tenant = a_tenant()
    everything_compile()
    return tenant


def a_budget(tenant: Tenant, name: str, **fields: Any) -> Budget:
    spec = {"limit_usd": "10", "period": "day", **fields}
    return budget_create(organization=tenant.organization, name=name, spec=spec, actor=tenant.actor)


def published(tenant: Tenant) -> snapshot_pb2.PolicyShard:
    """What is in force once everything was compiled."""
    organization_compile(tenant.organization.id)
    sealed = sealed_shard(policy_shard(tenant.organization.id))
    assert sealed is not None
    key = django_settings.SWITCHYARD.signing_key
    payload = open_sealed(
        sealed.message,
        deployment=django_settings.SWITCHYARD.deployment_id,
        keys=VerifyKeys({key.key_id: key.public_bytes}),
    ).payload
    return snapshot_pb2.PolicyShard.FromString(payload)


@pytest.mark.django_db(transaction=True)
def test_a_saved_rule_is_published_to_readers_that_know_rules(tenant: Tenant) -> None:
    shard = policy_shard(tenant.organization.id)
    before = ShardHead.objects.get(shard=shard).version
    budget = a_budget(tenant, "daily")

    organization_compile(tenant.organization.id)

    head = ShardHead.objects.select_related("snapshot").get(shard=shard)
    assert head.version == before + 1
    assert head.snapshot is not None
    header = snapshot_pb2.SealHeader.FromString(bytes(head.snapshot.header))
    assert header.min_reader == RULES
    budget_update(budget=budget, changes={"mode": "off"}, actor=tenant.actor)
    organization_compile(tenant.organization.id)
    head.refresh_from_db()
    assert head.snapshot is not None
    assert snapshot_pb2.SealHeader.FromString(bytes(head.snapshot.header)).min_reader == MIN_READER


@pytest.mark.django_db(transaction=True)
def test_compiling_again_on_the_same_day_publishes_nothing(tenant: Tenant) -> None:
    a_budget(tenant, "daily", timezone="Europe/Berlin", when={"hours": "Mon-Fri 09:00-18:00 Europe/Berlin"})
    organization_compile(tenant.organization.id)
    before = ShardHead.objects.get(shard=policy_shard(tenant.organization.id)).version

    organization_compile(tenant.organization.id, force=True)

    assert ShardHead.objects.get(shard=policy_shard(tenant.organization.id)).version == before


@pytest.mark.django_db(transaction=True)
def test_a_policy_that_was_not_compiled_for_a_day_is_compiled_anew(tenant: Tenant) -> None:
    a_budget(tenant, "daily")
    everything_compile()
    shard = policy_shard(tenant.organization.id)
    long_ago = timezone.now() - timedelta(days=2)
    ShardHead.objects.filter(shard=shard).update(updated_at=long_ago)

    everything_compile()

    assert ShardHead.objects.get(shard=shard).updated_at > long_ago


@pytest.mark.django_db(transaction=True)
def test_a_ninth_budget_by_a_change_of_people_keeps_the_old_snapshot_in_force(tenant: Tenant) -> None:
    ada = a_member(tenant)
    for number in range(8):
        a_budget(tenant, f"b{number}", when={"subjects": ["role:admin", "role:owner"]})
    a_budget(tenant, "adas", when={"subjects": [f"user:{ada.email}"]})
    organization_compile(tenant.organization.id)
    shard = policy_shard(tenant.organization.id)
    before = ShardHead.objects.get(shard=shard).version

    membership = Membership.objects.get(organization=tenant.organization, user=ada)
    membership_update(membership=membership, role=Role.ADMIN, actor=tenant.actor, by=INSTALLATION)
    organization_compile(tenant.organization.id)

    assert ShardHead.objects.get(shard=shard).version == before
    failed = Snapshot.objects.filter(shard=shard, is_published=False).latest("created_at")
    assert failed.findings[0]["path"] == "budgets"
    assert failed.findings[0]["problem"].startswith("9 budgets may match one exchange, and 8 can be counted: adas, b0")


@pytest.mark.django_db(transaction=True)
def test_lost_counters_begin_a_new_generation(tenant: Tenant) -> None:
    before = published(tenant).counter_generation

    after = counter_generation_raise(organization=tenant.organization, actor=tenant.actor, reason="store lost")

    assert published(tenant).counter_generation == after == before + 1
    assert Change.objects.filter(action="organization.counter_generation_raised").count() == 1


@pytest.mark.django_db(transaction=True)
def test_pods_know_the_roles_of_people(tenant: Tenant) -> None:
    auditor = a_person_of_role(tenant, Role.AUDITOR)

    roles = {person.id: person.role for person in published(tenant).principals}

    assert roles == {tenant.admin.id.hex: "owner", auditor.id.hex: "auditor"}


def test_what_was_measured_of_a_model_is_told_under_its_dated_name_too() -> None:
    known = [
        KnownModel(vendor="anthropic", model="claude-a-20260301", context_tokens=200_000),
        KnownModel(vendor="anthropic", model="claude-b", max_output_tokens=64_000),
    ]
    measured = {("anthropic", "claude-a"): Facts(30, 300, 2_400)}

    told = compile_rules(RuleRows(now=NOW, model_facts=known, measured=measured), frozenset()).model_facts

    assert [(facts.model, facts.context_tokens, facts.max_output_tokens) for facts in told] == [
        ("claude-a-20260301", 200_000, 0),
        ("claude-b", 0, 64_000),
    ]
    assert [(facts.expected_per_mille, facts.calibrated_per_mille, facts.bytes_per_token_milli) for facts in told] == [
        (30, 300, 2_400),
        (0, 0, 0),
    ]


@pytest.mark.django_db(transaction=True)
def test_measured_models_of_its_providers_are_told_to_an_organization_with_rules(tenant: Tenant) -> None:
    organization_id = tenant.organization.id
    a_provider(tenant, models=("claude-*",))
    for name in ("claude-a", "gpt-b"):
        KnownModel.objects.create(vendor="anthropic", model=name)
        ModelMeasure.objects.create(
            vendor="anthropic",
            model=name,
            exchanges=2_000,
            above_worst=0,
            prompts=0,
            found_expected_per_mille=31,
            found_calibrated_per_mille=310,
            found_bytes_per_token_milli=0,
            expected_per_mille=30,
            calibrated_per_mille=300,
            bytes_per_token_milli=0,
            measured_at=NOW,
        )
    assert not rule_rows(organization_id, NOW).model_facts

    a_budget(tenant, "daily")
    rows = rule_rows(organization_id, NOW)

    assert [row.model for row in rows.model_facts] == ["claude-a"]
    [told] = compile_rules(rows, frozenset()).model_facts
    assert (told.model, told.expected_per_mille, told.calibrated_per_mille) == ("claude-a", 30, 300)
