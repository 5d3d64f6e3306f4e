"""The chain of changes: what it covers, and which tampering it names."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.transaction import TransactionManagementError
from hypothesis import given
from hypothesis import strategies as st

from control_plane.audit.chain import plain
from control_plane.audit.models import ChainHead, Change, Outbox, ShardKind
from control_plane.audit.selectors import changes_of, open_outbox, verify_chain
from control_plane.audit.services import Actor, Subject, record_change
from switchyard_contract.audit_chain import Break, Broken, Intact, Link, Verdict, link_hash, verify

SOMEBODY = Actor.system("test")
ORGANIZATION = uuid4()


def record(number: int, organization_id: object = ORGANIZATION) -> Change:
    with transaction.atomic():
        return record_change(
            organization_id=organization_id,  # type: ignore[arg-type]  # uuid or None
            actor=SOMEBODY,
            action="team.updated",
            subject=Subject("team", str(number), f"team {number}"),
            before={"n": number - 1, "at": datetime(2026, 11, 21, tzinfo=UTC)},
            after={"n": number},
            reason="because – ünïcode",
            shards=(ShardKind.POLICY,) if organization_id else (),
        )


def tampered(sql: str, *parameters: bytes) -> None:
    """What somebody with the database's own rights could do."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_change DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_change ENABLE TRIGGER USER")


@pytest.fixture
def chain(db: None) -> list[Change]:
    return [record(number, None) for number in range(1, 7)]


@pytest.mark.django_db
def test_sequences_are_dense_and_each_organization_has_its_own_chain() -> None:
    other = uuid4()
    sequences = [
        record(number, organization).sequence
        for number, organization in enumerate([ORGANIZATION, other, ORGANIZATION, other])
    ]
    assert sequences == [1, 1, 2, 2]
    assert isinstance(verify_chain(ORGANIZATION), Intact)
    assert isinstance(verify_chain(other), Intact)
    assert changes_of(other).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_change_outside_a_transaction_is_refused() -> None:
    with pytest.raises(TransactionManagementError):
        record_change(organization_id=None, actor=SOMEBODY, action="x.done", subject=Subject("x", "1", "x"))


@pytest.mark.django_db
def test_a_change_is_the_outbox_of_its_shards() -> None:
    change = record(1)
    row = open_outbox(ShardKind.POLICY, ORGANIZATION).get()
    assert (row.change_id, row.compiled_version) == (change.id, None)
    assert not Outbox.objects.exclude(id=row.id).exists()


def test_an_intact_chain_verifies_after_a_round_trip(chain: list[Change]) -> None:
    assert verify_chain(None) == Intact(6, bytes(chain[-1].hash))


@pytest.mark.parametrize("column", ["action", "reason", "actor_name", "source_address", "subject_name"])
def test_an_edited_text_is_named(chain: list[Change], column: str) -> None:
    tampered(f"UPDATE audit_change SET {column} = 'forged' WHERE sequence = 3")
    assert _first(verify_chain(None)) == (3, Break.ALTERED)


def test_edited_facts_are_named(chain: list[Change]) -> None:
    tampered("""UPDATE audit_change SET after = '{"n": 99}' WHERE sequence = 4""")
    assert _first(verify_chain(None)) == (4, Break.ALTERED)


def test_a_change_that_was_edited_and_hashed_anew_is_named(chain: list[Change]) -> None:
    fourth = chain[3]
    fields = {**_fields(fourth), "reason": "forged"}
    forged = link_hash(bytes(fourth.previous_hash), 4, fields)
    tampered("UPDATE audit_change SET reason = 'forged', hash = %s WHERE sequence = 4", forged)
    assert _first(verify_chain(None)) == (4, Break.ALTERED)


def test_a_deleted_change_is_named(chain: list[Change]) -> None:
    tampered("DELETE FROM audit_change WHERE sequence = 2")
    assert _first(verify_chain(None)) == (2, Break.DELETED)


def test_a_deleted_change_whose_gap_was_closed_is_named(chain: list[Change]) -> None:
    tampered("DELETE FROM audit_change WHERE sequence = 2")
    tampered("UPDATE audit_change SET sequence = sequence - 1 WHERE sequence > 2 AND sequence < 4")
    tampered("UPDATE audit_change SET sequence = sequence - 1 WHERE sequence = 4")
    tampered("UPDATE audit_change SET sequence = sequence - 1 WHERE sequence = 5")
    tampered("UPDATE audit_change SET sequence = sequence - 1 WHERE sequence = 6")
    assert _first(verify_chain(None)) == (2, Break.REORDERED)


def test_swapped_changes_are_named(chain: list[Change]) -> None:
    tampered("UPDATE audit_change SET sequence = 1000 WHERE sequence = 3")
    tampered("UPDATE audit_change SET sequence = 3 WHERE sequence = 4")
    tampered("UPDATE audit_change SET sequence = 4 WHERE sequence = 1000")
    assert _first(verify_chain(None)) == (3, Break.REORDERED)


def test_a_cut_tail_is_named(chain: list[Change]) -> None:
    tampered("DELETE FROM audit_change WHERE sequence > 4")
    assert _first(verify_chain(None)) == (5, Break.CUT)


def test_a_chain_cut_together_with_its_head_is_found_by_an_exported_head(chain: list[Change]) -> None:
    exported = (6, bytes(chain[-1].hash))
    tampered("DELETE FROM audit_change WHERE sequence > 4")
    ChainHead.objects.filter(scope="installation").update(sequence=4, hash=bytes(chain[3].hash))
    assert isinstance(verify_chain(None), Intact)
    assert _first(verify_chain(None, known_head=exported)) == (5, Break.CUT)


def test_an_emptied_table_is_named(chain: list[Change]) -> None:
    tampered("TRUNCATE audit_change CASCADE")
    assert _first(verify_chain(None)) == (1, Break.CUT)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_change SET reason = 'x' WHERE sequence = 1",
        "DELETE FROM audit_change WHERE sequence = 1",
        "TRUNCATE audit_change CASCADE",
    ],
)
def test_the_database_refuses_to_touch_the_past(chain: list[Change], statement: str) -> None:
    with connection.cursor() as cursor:
        # The tests' database lets itself be emptied; an installation's does not.
        cursor.execute("ALTER TABLE audit_change ENABLE TRIGGER audit_change_no_truncate")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
    assert isinstance(verify_chain(None), Intact)


def test_bytes_and_floats_have_no_place_in_an_entry() -> None:
    for value in (b"secret", 1.5, {"nested": [b"secret"]}):
        with pytest.raises(TypeError):
            plain(value)


LINKS = st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3), min_size=2, max_size=8)
Tamper = Callable[[list[Link], int], list[Link]]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda links, at: links[:at] + links[at + 1 :],
        lambda links, at: [
            *links[:at],
            replace(links[at], fields={**links[at].fields, "forged": "1"}),
            *links[at + 1 :],
        ],
        lambda links, at: [*links[:at], replace(links[at], hash=b"0" * 32), *links[at + 1 :]],
        lambda links, at: [replace(link, sequence=index + 1) for index, link in enumerate(_swapped(links, at))],
    ],
    ids=["deleted", "edited", "hash replaced", "swapped"],
)
@given(contents=LINKS, data=st.data())
def test_no_tampering_goes_unseen(tamper: Tamper, contents: list[dict[str, str]], data: st.DataObject) -> None:
    links: list[Link] = []
    previous = b""
    for index, fields in enumerate(contents):
        own = link_hash(previous, index + 1, fields)
        links.append(Link(index + 1, fields, previous, own))
        previous = own
    whole = verify(links, heads={len(links): previous})
    assert whole == Intact(len(links), previous)
    at = data.draw(st.integers(0, len(links) - 1))
    assert isinstance(verify(tamper(links, at), heads={len(links): previous}), Broken)


def _swapped(links: list[Link], at: int) -> list[Link]:
    other = (at + 1) % len(links)
    swapped = list(links)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    return swapped


def _first(verdict: Verdict) -> tuple[int, Break]:
    assert isinstance(verdict, Broken)
    return verdict.sequence, verdict.how


def _fields(change: Change) -> dict[str, object]:
    from control_plane.audit.selectors import fields_of

    return dict(fields_of(change))
