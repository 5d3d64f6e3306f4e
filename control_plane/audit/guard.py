"""Take the right to alter the audit away from the user that the platform runs as, where the database lets us.

`audit_change` is given to a role that nobody can sign in as; the platform's user keeps SELECT and INSERT. The trigger
forbids change too, but whoever owns a table can switch its triggers off, so ownership is the stronger wall.
Source: docs/decisions/0093-who-may-touch-the-audit.md
"""

from dataclasses import dataclass

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

log = structlog.get_logger()

OWNER = "switchyard_audit"
_OWNER = sql.Identifier(OWNER)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database lets its user do about the audit. why: empty when the wall stands."""

    user: str
    is_apart: bool
    """Whether the audit belongs to another role than the platform's user."""
    why: str = ""


def audit_take_away() -> Standing:
    """Give the audit to its own role. Leaves everything as it is, and says why, where the user lacks the right."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
        user, is_superuser, may_create = cursor.fetchone()
        if is_superuser:
            return Standing(user, False, "the platform's user is a superuser of the database: nothing binds it")
        if not _role_exists(cursor):
            if not may_create:
                return Standing(user, False, f"there is no role {OWNER} and {user} may not create one")
            cursor.execute(sql.SQL("CREATE ROLE {owner} NOLOGIN").format(owner=_OWNER))
        if not _join(cursor, user):
            return Standing(user, False, f"{user} is no member of {OWNER} and may not become one")
        cursor.execute("SELECT current_schema()")
        names = {"owner": _OWNER, "user": sql.Identifier(user), "schema": sql.Identifier(cursor.fetchone()[0])}
        # The role checks foreign keys as the owner of the table they lead to. CREATE only while it takes over.
        cursor.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}").format(**names))
        cursor.execute(sql.SQL("ALTER TABLE audit_change OWNER TO {owner}").format(**names))
        cursor.execute(sql.SQL("REVOKE CREATE ON SCHEMA {schema} FROM {owner}").format(**names))
        cursor.execute(sql.SQL("SET LOCAL ROLE {owner}").format(**names))
        cursor.execute(sql.SQL("REVOKE ALL ON audit_change FROM {user}").format(**names))
        cursor.execute(sql.SQL("GRANT SELECT, INSERT ON audit_change TO {user}").format(**names))
        cursor.execute(sql.SQL("SET LOCAL ROLE {user}").format(**names))
        cursor.execute(sql.SQL("REVOKE {owner} FROM {user}").format(**names))
    log.info("the audit belongs to a role of its own", role=OWNER, user=user)
    return Standing(user, True)


def audit_take_back() -> None:
    """Make the platform's user a member of the owning role again, so that a migration may alter the audit's tables.

    Where another user migrates than serves, the serving one never gets this far: only the creator of the role, or
    whom a database administrator made its admin, may.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (user,) = cursor.fetchone()
        if _role_exists(cursor):
            _join(cursor, user)


def audit_standing() -> Standing:
    """How the audit is guarded now; read-only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, tableowner, has_table_privilege(current_user, 'audit_change', 'UPDATE') "
            "FROM pg_tables WHERE tablename = 'audit_change' AND schemaname = current_schema()"
        )
        user, owner, may_update = cursor.fetchone()
    if may_update:
        return Standing(user, False, f"{user} could alter the audit; its triggers and its published heads guard it")
    return Standing(user, owner != user)


def _role_exists(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
    return cursor.fetchone() is not None


def _join(cursor: CursorWrapper, user: str) -> bool:
    """Become a member that may act as the role; False where the database says no."""
    run = cursor.execute
    run("SELECT pg_has_role(current_user, %s, 'MEMBER')", [OWNER])
    (is_member,) = cursor.fetchone()
    if is_member:
        run("SHOW server_version_num")
        (version,) = cursor.fetchone()
        if int(version) < 160000:
            return True
        run("SELECT pg_has_role(current_user, %s, 'SET')", [OWNER])
        (may_set,) = cursor.fetchone()
        if may_set:
            return True
    run(
        "SELECT rolcreaterole OR EXISTS (SELECT 1 FROM pg_auth_members JOIN pg_roles owned ON owned.oid = roleid "
        "JOIN pg_roles me ON me.oid = member WHERE owned.rolname = %s AND me.rolname = current_user AND admin_option) "
        "FROM pg_roles WHERE rolname = current_user",
        [OWNER],
    )
    (may_grant,) = cursor.fetchone()
    if not may_grant:
        return False
    run(sql.SQL("GRANT {owner} TO {user}").format(owner=_OWNER, user=sql.Identifier(user)))
    return True
