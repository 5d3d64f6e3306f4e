"""The audit belongs to a role of its own, where the database's user is not almighty."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from control_plane.audit.guard import OWNER, audit_standing, audit_take_away, audit_take_back
from control_plane.audit.selectors import Intact, verify_chain
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import Organization

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def application_user(db: None) -> Iterator[str]:
    """The rest of the test runs as a database user that owns its tables and may make roles."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        tables = [name for (name,) in cursor.fetchall()]
    run("SET CONSTRAINTS ALL IMMEDIATE", "CREATE ROLE platform_app LOGIN CREATEROLE")
    run("GRANT ALL ON SCHEMA public TO platform_app WITH GRANT OPTION")
    run(*(f'ALTER TABLE "{name}" OWNER TO platform_app' for name in tables))
    run("SET SESSION AUTHORIZATION platform_app")
    yield "platform_app"
    # The superuser comes back so that the database can be flushed; the roles go with the test's transaction.
    run("RESET SESSION AUTHORIZATION")


def record() -> None:
    organization = Organization.objects.create(slug="acme", name="Acme")
    with transaction.atomic():
        record_change(
            organization_id=organization.id,
            actor=Actor.system("test"),
            action="team.updated",
            subject=Subject("team", "1", "one"),
            shards=(ShardKind.POLICY,),
        )
    run("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")
    assert isinstance(verify_chain(organization.id), Intact)


def refused(statement: str) -> bool:
    try:
        with transaction.atomic():
            run(statement)
    except DatabaseError as failure:
        return "permission denied" in str(failure) or "must be owner" in str(failure)
    return False


@pytest.mark.django_db
def test_the_platform_may_add_and_read_and_nothing_else(application_user: str) -> None:
    assert not audit_standing().is_apart

    assert audit_take_away().is_apart

    assert audit_standing().is_apart
    record()
    for statement in (
        "UPDATE audit_change SET reason = 'forged'",
        "DELETE FROM audit_change",
        "TRUNCATE audit_change CASCADE",
        "ALTER TABLE audit_change DISABLE TRIGGER USER",
        "DROP TABLE audit_change CASCADE",
    ):
        assert refused(statement), statement


@pytest.mark.django_db
def test_a_migration_takes_the_audit_back_and_gives_it_away_again(application_user: str) -> None:
    audit_take_away()

    audit_take_back()
    run("ALTER TABLE audit_change ADD COLUMN later text")
    audit_take_away()

    assert audit_standing().is_apart
    assert refused("ALTER TABLE audit_change DROP COLUMN later")
    record()


@pytest.mark.django_db
def test_a_user_without_the_right_to_make_roles_changes_nothing(application_user: str) -> None:
    run("RESET SESSION AUTHORIZATION", "ALTER ROLE platform_app NOCREATEROLE", "SET SESSION AUTHORIZATION platform_app")

    standing = audit_take_away()

    assert not standing.is_apart
    assert OWNER in standing.why
    record()


@pytest.mark.django_db
def test_a_superuser_is_told_that_nothing_binds_it() -> None:
    assert "superuser" in audit_take_away().why
