"""A person's records under another name."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import ProgrammingError, connection, transaction

from control_plane.accounts.models import User
from control_plane.accounts.services import user_create
from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization
from control_plane.usage import pseudonyms
from control_plane.usage.models import (
    Adjustment,
    BudgetSpend,
    ConversationSession,
    KeyLastUse,
    Pseudonym,
    RulesSeen,
    UsageDay,
    UsageHour,
)
from control_plane.usage.pseudonyms import NothingToRename, PersonStillHere, SumsMoved, person_pseudonymise
from control_plane.usage.selectors.names import names_of
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import a_tenant
from tests.control_plane.usage.books import assert_books_agree, ledger, put_and_book
from tests.control_plane.usage.charges import BUDGET, a_charge, a_rule_seen
from tests.control_plane.usage.events import NOW, a_batch, a_refusal, an_event

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")
OTHER = UUID("0e" * 16)


@pytest.fixture
def organization(db: None) -> Organization:
    return a_tenant().organization


@pytest.fixture
def leaver(db: None) -> User:
    return user_create(email="lea@leaver.example", password="correct horse battery", name="Lea", actor=ACTOR)


def used(organization: Organization, person: User) -> None:
    """Three exchanges of the person, on two keys and two days, a refused and a failed one, and one of somebody else on
    the same counters."""
    theirs = {
        "organization_id": organization.id.hex,
        "principal_id": person.id.hex,
        "rules": usage_pb2.RulesSeen(rules=[a_rule_seen(counter=person.id.hex)]),
        "charges": [a_charge(BUDGET, person.id.hex)],
    }
    others = {"organization_id": organization.id.hex, "principal_id": OTHER.hex, "key_id": "Other0000001"}
    put_and_book(
        a_batch(
            [
                an_event(1, **theirs),
                an_event(2, **theirs, key_id="Key000000002"),
                an_event(3, at=NOW - timedelta(days=40), **theirs),
                an_event(4, **others, charges=[a_charge(BUDGET, OTHER.hex)]),
                a_refusal(5, **theirs, error_text=f"Rules about {person.email} allow others: “cheap”."),
                an_event(6, **theirs, outcome=usage_pb2.OUTCOME_FAILED, error_text="Overloaded", cost_nano_usd=0),
            ]
        )
    )


def test_nothing_names_the_person_any_more_and_every_sum_is_as_it_was(organization: Organization, leaver: User) -> None:
    used(organization, leaver)
    before = sum(row.cost_nano_usd for row in ledger())

    made = person_pseudonymise(organization=organization, user=leaver, actor=ACTOR, now=NOW)

    assert_books_agree()
    rows = ledger()
    assert sum(row.cost_nano_usd for row in rows) == before
    assert {row.principal_id for row in rows} == {made.id, OTHER}
    assert not {row.key_id for row in rows} & {"Key000000001", "Key000000002"}
    dump = everything_stored()
    assert leaver.email not in dump
    assert {row.error_text for row in rows} == {"", "Overloaded"}
    assert leaver.id.hex not in dump
    assert str(leaver.id) not in dump
    assert "Key000000001" not in dump
    assert sorted(BudgetSpend.objects.values_list("counter", "posted_nano_usd")) == sorted(
        [(made.id.hex, 9_000_000), (OTHER.hex, 3_000_000)]
    )
    assert (made.principal_id, made.key_names, made.name.startswith("Former person ")) == (None, {}, True)
    assert names_of(organization.id, principal_ids=[made.id]).principal(made.id) == made.name


def everything_stored() -> str:
    """All that is kept of usage, as text; packed parts unpacked."""
    from control_plane.usage import decisions

    parts: list[object] = [ledger()]
    for model in (UsageHour, UsageDay, ConversationSession, KeyLastUse, BudgetSpend, Pseudonym, Adjustment):
        parts += list(model._default_manager.values())
    parts += [decisions.unpack(row.decision) for row in ledger()]
    parts += [decisions.inflate_rules(bytes(seen.payload)) for seen in RulesSeen.objects.all()]
    return "\n".join(map(str, parts)).replace("UUID('", "").replace("-", "")


def test_who_it_was_and_what_stands_now_are_never_written_down_together(
    organization: Organization, leaver: User
) -> None:
    used(organization, leaver)
    made = person_pseudonymise(organization=organization, user=leaver, actor=ACTOR, reason="asked for it", now=NOW)

    change = Change.objects.get(action="user.pseudonymise")
    assert (change.subject_id, change.reason) == (leaver.id.hex, "asked for it")
    assert made.id.hex not in str(change.__dict__)
    assert made.name not in str(change.__dict__)
    assert (made.asked_at.hour, made.asked_at.minute) == (0, 0)


def test_what_comes_late_for_a_row_replaces_it_under_the_new_name(organization: Organization, leaver: User) -> None:
    used(organization, leaver)
    person_pseudonymise(organization=organization, user=leaver, actor=ACTOR, now=NOW)

    with pytest.raises(NothingToRename):
        person_pseudonymise(organization=organization, user=leaver, actor=ACTOR, now=NOW)


def test_a_person_who_still_works_here_is_not_renamed(organization: Organization, leaver: User) -> None:
    tenant = a_tenant("second")
    with pytest.raises(PersonStillHere):
        person_pseudonymise(organization=tenant.organization, user=tenant.admin, actor=ACTOR)


def test_the_ledger_lets_nothing_else_be_changed(organization: Organization, leaver: User) -> None:
    used(organization, leaver)

    def refused(statement: str) -> None:
        with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    refused("UPDATE usage_ledger SET principal_id = gen_random_uuid()")
    Pseudonym.objects.create(
        id=UUID("f0" * 16),
        organization_id=organization.id,
        name="x",
        principal_id=leaver.id,
        key_names={"Key000000001": "former-1"},
        asked_at=NOW,
    )
    mine = f"WHERE principal_id = '{leaver.id}' AND key_id = 'Key000000001'"
    refused(f"UPDATE usage_ledger SET cost_nano_usd = 0 {mine}")
    refused(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}' {mine}")
    refused(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}', key_id = 'former-1', model = 'x' {mine}")
    refused(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}', key_id = 'former-1', error_text = 'x' {mine}")
    refused(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}', key_id = 'former-1', error_text = '' {mine}")
    refused(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}' WHERE principal_id = '{OTHER}'")
    refused(f"DELETE FROM usage_ledger {mine}")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE usage_ledger SET principal_id = '{'f0' * 16}', key_id = 'former-1' {mine}")
        assert cursor.rowcount == 4


def test_sums_that_would_move_undo_everything(
    organization: Organization, leaver: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(organization, leaver)
    monkeypatch.setattr(pseudonyms, "_rename_sessions", lambda swap: None)

    with pytest.raises(SumsMoved), transaction.atomic():
        person_pseudonymise(organization=organization, user=leaver, actor=ACTOR, now=NOW)

    assert leaver.id in {row.principal_id for row in ledger()}
    assert not Pseudonym.objects.exists()
    assert VirtualKey.objects.filter(user=leaver).count() == 0
