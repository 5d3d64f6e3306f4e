"""Signed heads: what is signed, where it goes, and what is never signed."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from pytest_django import Settings

from control_plane.audit.heads import heads_file_append, heads_publish
from control_plane.audit.models import ChainHead, Change, PublishedHead
from control_plane.audit.selectors import Broken, fields_of, newest_published_heads, signed_head_of, verify_chain
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.snapshots.compile import compile_global
from switchyard_contract.audit_chain import Break, link_hash
from switchyard_contract.audit_head import check_head, read_head
from switchyard_contract.seal import BadSignature, SigningKey, VerifyKeys


def record(count: int = 1) -> Change:
    for number in range(count):
        with transaction.atomic():
            change = record_change(
                organization_id=None,
                actor=Actor.system("test"),
                action="team.updated",
                subject=Subject("team", str(number), "a team"),
            )
    return change


def own_keys() -> VerifyKeys:
    key = settings.SWITCHYARD.signing_key
    return VerifyKeys({key.key_id: key.public_bytes})


@pytest.fixture
def heads_file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "elsewhere" / "heads.jsonl"
    settings.SWITCHYARD = replace(settings.SWITCHYARD, audit_heads_file=str(path))
    return path


@pytest.mark.django_db
def test_a_head_names_the_end_of_the_chain_and_is_signed() -> None:
    last = record(3)

    (row,) = heads_publish()

    head = signed_head_of(row, settings.SWITCHYARD.deployment_id)
    check_head(head, own_keys())
    assert (head.organization, head.sequence, head.hash) == ("installation", 3, bytes(last.hash))
    stranger = SigningKey(head.signing_key_id, bytes(32))
    with pytest.raises(BadSignature):
        check_head(head, VerifyKeys({stranger.key_id: stranger.public_bytes}))


@pytest.mark.django_db
def test_a_chain_that_has_not_grown_gets_no_new_head() -> None:
    record()
    assert len(heads_publish()) == 1
    assert heads_publish() == []
    record()
    assert [row.sequence for row in heads_publish()] == [2]


@pytest.mark.django_db
def test_the_file_gets_every_head_once(heads_file: Path) -> None:
    record()
    heads_publish()
    record()
    heads_publish()
    heads_publish()

    heads = [read_head(line) for line in heads_file.read_text().splitlines()]

    assert [head.sequence for head in heads] == [1, 2]
    for head in heads:
        check_head(head, own_keys())


@pytest.mark.django_db
def test_heads_wait_for_a_file_that_cannot_be_written(heads_file: Path) -> None:
    heads_file.parent.write_text("a file where a folder should be")
    record()
    heads_publish()
    assert PublishedHead.objects.get().is_filed is False

    heads_file.parent.unlink()

    assert heads_file_append() == 1
    assert len(heads_file.read_text().splitlines()) == 1


@pytest.mark.django_db
def test_a_broken_chain_gets_no_head() -> None:
    record(2)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_change DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_change SET reason = 'forged' WHERE sequence = 1")
        cursor.execute("ALTER TABLE audit_change ENABLE TRIGGER USER")

    assert heads_publish() == []


@pytest.mark.django_db
def test_a_chain_written_anew_from_the_middle_is_found_by_its_published_head() -> None:
    """All hashes fit again, and the chain's own head row was forged too; the signed head cannot be."""
    record(4)
    heads_publish()
    previous = b""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_change DISABLE TRIGGER USER")
        for change in Change.objects.filter(scope="installation").order_by("sequence"):
            fields = {**fields_of(change), "reason": "forged" if change.sequence == 2 else change.reason}
            digest = link_hash(previous, change.sequence, fields)
            cursor.execute(
                "UPDATE audit_change SET reason = %s, previous_hash = %s, hash = %s WHERE id = %s",
                [fields["reason"], previous, digest, change.id],
            )
            previous = digest
        cursor.execute("ALTER TABLE audit_change ENABLE TRIGGER USER")
    ChainHead.objects.update(hash=previous)

    verdict = verify_chain(None)

    assert isinstance(verdict, Broken)
    assert (verdict.sequence, verdict.how) == (1, Break.ALTERED)


@pytest.mark.django_db
def test_the_global_shard_carries_the_newest_head_of_every_chain() -> None:
    record()
    heads_publish()
    last = record()
    heads_publish()

    (head,) = compile_global([], {}, [], newest_published_heads()).audit_heads

    assert (head.organization, head.sequence, head.hash) == ("installation", 2, bytes(last.hash))
