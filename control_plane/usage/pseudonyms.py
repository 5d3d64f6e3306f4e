"""Put a pseudonym in the place of a person who has left, in everything that speaks of usage. Sums stay as they were.

What is changed: rows of the ledger, all roll-ups by person and key, sessions, last uses, counters of budgets, rules
that were looked at, corrections, and every table of other apps that has a `principal_id`. Keys get other names too,
since a key leads to its owner. What stays: the audit, which nobody may edit; the account and its keys, which are
deleted elsewhere.

It is one transaction that holds the ledger alone, so no row slips in between, and it checks itself: the sums of the
pseudonym are those of the person, and the person has none left. Nothing that is stored leads from one to the other.

Failures: `PersonStillHere`, `NothingToRename`, `SumsMoved`.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

from django.apps import apps
from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Replace
from django.utils import timezone
from psycopg import sql

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization
from control_plane.usage import decisions
from control_plane.usage.ledger_lock import lock_ledger
from control_plane.usage.merging import grain_of
from control_plane.usage.models import BudgetSpend, ConversationSession, KeyLastUse, Pseudonym, RulesSeen
from control_plane.usage.rollups import SUMS, WHOLE_GRAIN, session_row_id
from control_plane.usage.spending import Charge, Counter
from switchyard_contract.usage import KINDS as TOKEN_KINDS

_ROLLUPS: Final = ("usage_usagehour", "usage_usageday")
_HANDLED: Final = frozenset(
    {"LedgerEntry", "UsageHour", "UsageDay", "ConversationSession", "KeyLastUse", "Pseudonym", "BudgetSpend"}
)
_SUMMED: Final = (*TOKEN_KINDS, "web_searches", "cost_nano_usd", "saved_cache_nano_usd", "saved_downgrade_nano_usd")


class PersonStillHere(Exception):
    """The person is a member, or has a key that works: more rows would come under the old name."""


class NothingToRename(Exception):
    """No row speaks of this person."""


class SumsMoved(Exception):
    """The sums after are not the sums before; nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Swap:
    """What stands in whose place."""

    organization_id: UUID
    old: UUID
    new: UUID
    name: str
    keys: Mapping[str, str]

    @property
    def keys_text(self) -> str:
        return json.dumps(dict(self.keys))

    @property
    def words(self) -> dict[str, str]:
        """As they stand in counters of budgets."""
        return {self.old.hex: self.new.hex, **self.keys}


@transaction.atomic
def person_pseudonymise(
    *, organization: Organization, user: User, actor: Actor, reason: str = "", now: datetime | None = None
) -> Pseudonym:
    """Rename a person who has left in an organization's books. Raises PersonStillHere, NothingToRename, SumsMoved."""
    now = now or timezone.now()
    keys = VirtualKey.objects.filter(organization=organization, user=user)
    works = Q(revoked_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=now))
    if Membership.objects.filter(organization=organization, user=user).exists() or keys.filter(works).exists():
        raise PersonStillHere
    lock_ledger(is_exclusive=True)
    used = _keys_used(organization.id, user.id)
    if not used:
        raise NothingToRename
    names = {*used, *keys.values_list("key_id", flat=True)} - {""}
    pseudonym = Pseudonym.objects.create(
        id=uuid4(),
        organization_id=organization.id,
        name=f"Former person {secrets.token_hex(3)}",
        principal_id=user.id,
        key_names={name: f"former-{secrets.token_hex(6)}" for name in sorted(names)},
        next_day=None,
        # The day alone: the instant would lead through the audit to who it was.
        asked_at=now.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    swap = _Swap(organization.id, user.id, pseudonym.id, pseudonym.name, pseudonym.key_names)
    before = _sums(swap.organization_id, swap.old)
    rows = _rename_ledger(swap)
    _rename_rules(swap)
    _rename_rollups(swap)
    _rename_sessions(swap)
    _rename_counters(swap)
    _rename_elsewhere(swap)
    if _sums(swap.organization_id, swap.new) != before or any(_sums(swap.organization_id, swap.old).values()):
        raise SumsMoved
    Pseudonym.objects.filter(id=pseudonym.id).update(principal_id=None, key_names={}, finished_at=F("asked_at"))
    # Who, but not under which name: the two are never written down together.
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="user.pseudonymise",
        subject=Subject("user", user.id.hex, user.email),
        after={"rows": rows, "cost_nano_usd": before["usage_ledger"][-1]},
        reason=reason,
    )
    pseudonym.refresh_from_db()
    return pseudonym


def pseudonyms_of(organization_id: UUID) -> list[Pseudonym]:
    """Who stands in an organization's books under another name, the newest first."""
    return list(Pseudonym.objects.filter(organization_id=organization_id).order_by("-asked_at", "name"))


def _keys_used(organization_id: UUID, principal_id: UUID) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT key_id FROM usage_usageday WHERE organization_id = %s AND principal_id = %s"
            " UNION SELECT DISTINCT key_id FROM usage_ledger WHERE organization_id = %s AND principal_id = %s",
            [organization_id, principal_id] * 2,
        )
        return [key_id for (key_id,) in cursor.fetchall()]


def _sums(organization_id: UUID, principal_id: UUID) -> dict[str, tuple[int, ...]]:
    """Rows and amounts of one principal in everything that has them; all zero: none."""
    found = {}
    with connection.cursor() as cursor:
        for table in ("usage_ledger", *_ROLLUPS, "usage_conversationsession"):
            summed = _SUMMED if table == "usage_ledger" else SUMS
            cursor.execute(
                sql.SQL("SELECT {} FROM {} WHERE organization_id = %s AND principal_id = %s").format(
                    sql.SQL(", ").join(
                        [
                            sql.SQL("count(*)"),
                            *(sql.SQL("COALESCE(sum({}), 0)::bigint").format(sql.Identifier(each)) for each in summed),
                            sql.SQL("COALESCE(sum(cost_nano_usd), 0)::bigint"),
                        ]
                    ),
                    sql.Identifier(table),
                ),
                [organization_id, principal_id],
            )
            sums = cursor.fetchone()
            found[table] = tuple(sums) if any(sums) else ()
    return found


def _rename_owner(cursor: CursorWrapper, table: str, swap: _Swap, *, more: LiteralString = "") -> int:
    """Put the pseudonym and the other names of keys into a table's rows; says how many they are."""
    cursor.execute(
        sql.SQL(
            "UPDATE {} SET principal_id = %s, key_id = COALESCE(%s::jsonb ->> key_id, key_id){}"
            " WHERE organization_id = %s AND principal_id = %s"
        ).format(sql.Identifier(table), sql.SQL(more)),
        [swap.new, swap.keys_text, swap.organization_id, swap.old],
    )
    return cursor.rowcount


def _rename_ledger(swap: _Swap) -> int:
    with connection.cursor() as cursor:
        # What a refused caller was told may name who it was.
        forgets = ", error_text = CASE WHEN reason = '' THEN error_text ELSE '' END"
        count = _rename_owner(cursor, "usage_ledger", swap, more=forgets)
        cursor.execute(
            "SELECT day, exchange_id, attempt, kind, revision, decision FROM usage_ledger"
            " WHERE organization_id = %s AND principal_id = %s AND decision IS NOT NULL",
            [swap.organization_id, swap.new],
        )
        changed = []
        for *key, decision in cursor.fetchall():
            renamed = decisions.renamed(bytes(decision), swap.words)
            if renamed != bytes(decision):
                changed.append((renamed, *key))
        cursor.executemany(
            "UPDATE usage_ledger SET decision = %s"
            " WHERE day = %s AND exchange_id = %s AND attempt = %s AND kind = %s AND revision = %s",
            changed,
        )
    return count


def _rename_rules(swap: _Swap) -> None:
    """Rules that were looked at name counters: those of the person become rules under another digest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT rules_digest FROM usage_ledger"
            " WHERE organization_id = %s AND principal_id = %s AND rules_digest IS NOT NULL",
            [swap.organization_id, swap.new],
        )
        digests = [digest for (digest,) in cursor.fetchall()]
        for seen in RulesSeen.objects.filter(digest__in=digests):
            rules = decisions.inflate_rules(bytes(seen.payload))
            for rule in rules.rules:
                rule.counter = decisions.replaced(rule.counter, swap.words)
            payload = decisions.deflate_rules(rules)
            digest = decisions.digest_of_rules(rules)
            if digest == seen.digest:
                continue
            RulesSeen.objects.get_or_create(
                digest=digest, defaults={"payload": payload, "last_day": seen.last_day, "rule_ids": seen.rule_ids}
            )
            cursor.execute(
                "UPDATE usage_ledger SET rules_digest = %s"
                " WHERE organization_id = %s AND principal_id = %s AND rules_digest = %s",
                [digest, swap.organization_id, swap.new, seen.digest],
            )
            # A text that names this person's counter is about nobody else's exchanges.
            seen.delete()


def _rename_rollups(swap: _Swap) -> None:
    with connection.cursor() as cursor:
        for table in _ROLLUPS:
            _rename_owner(cursor, table, swap)
            # The digest would tell the old name to whoever tries names out.
            cursor.execute(
                sql.SQL("UPDATE {} SET grain = {} WHERE organization_id = %s AND principal_id = %s").format(
                    sql.Identifier(table), grain_of(WHOLE_GRAIN)
                ),
                [swap.organization_id, swap.new],
            )


def _rename_sessions(swap: _Swap) -> None:
    """Sessions are named after their key: they move with it, and so does what other apps know of them."""
    rows = ConversationSession.objects.filter(organization_id=swap.organization_id, principal_id=swap.old)
    moved = [
        (row_id, session_row_id(swap.organization_id, swap.keys.get(key_id, key_id), session_id))
        for row_id, key_id, session_id in rows.values_list("id", "key_id", "session_id")
    ]
    with connection.cursor() as cursor:
        _rename_owner(cursor, "usage_conversationsession", swap, more=", moved_at = clock_timestamp()")
        columns = [("usage_conversationsession", "id"), *_references_to_sessions()]
        for table, column in columns:
            cursor.execute(
                sql.SQL(
                    "UPDATE {table} SET {column} = moved.new FROM unnest(%s::uuid[], %s::uuid[]) AS moved (old, new)"
                    " WHERE {table}.{column} = moved.old"
                ).format(table=sql.Identifier(table), column=sql.Identifier(column)),
                [[old for old, _ in moved], [new for _, new in moved]],
            )


def _references_to_sessions() -> Iterator[tuple[str, str]]:
    for relation in ConversationSession._meta.related_objects:
        yield relation.related_model._meta.db_table, relation.field.attname


def _rename_counters(swap: _Swap) -> None:
    for old, new in swap.keys.items():
        KeyLastUse.objects.filter(organization_id=swap.organization_id, key_id=old).update(key_id=new)
    named = Q()
    for word in swap.words:
        named |= Q(counter__contains=word)
    for spend in BudgetSpend.objects.filter(named, organization_id=swap.organization_id):
        counter = decisions.replaced(spend.counter, swap.words)
        charge = Charge(spend.budget_id, counter, spend.period_ms)
        row_id = Counter.of(swap.organization_id, charge).id
        BudgetSpend.objects.filter(id=spend.id).update(id=row_id, counter=counter)


def _rename_elsewhere(swap: _Swap) -> None:
    """In tables of other apps, by the names of their columns: those that come later are not forgotten."""
    for model in apps.get_models():
        if not model._meta.managed or model.__name__ in _HANDLED:
            continue
        columns = {field.name: field for field in model._meta.concrete_fields}
        path = _organization_path(model)
        if not path:
            continue
        rows = model._default_manager.filter(**{path: swap.organization_id})
        if isinstance(columns.get("principal_id"), models.UUIDField):
            changes: dict[str, Any] = {"principal_id": swap.new}
            if isinstance(columns.get("principal"), models.CharField):
                changes["principal"] = swap.name
            theirs = rows.filter(principal_id=swap.old)
            if isinstance(columns.get("key_id"), models.CharField):
                for old, new in swap.keys.items():
                    theirs.filter(key_id=old).update(key_id=new)
            _by_key(model, theirs).update(**changes)
        if isinstance(columns.get("counter"), (models.CharField, models.TextField)):
            for old, new in swap.words.items():
                theirs = _by_key(model, rows.filter(counter__contains=old))
                theirs.update(counter=Replace("counter", Value(old), Value(new)))


def _by_key(model: type[models.Model], rows: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
    """The same rows, named without a join: an update takes none."""
    return model._default_manager.filter(pk__in=list(rows.values_list("pk", flat=True)))


def _organization_path(model: type[models.Model], depth: int = 3) -> str:
    """How a row of a model leads to its organization; empty: it does not."""
    names: Sequence[str] = [field.name for field in model._meta.concrete_fields]
    for name in ("organization_id", "organization"):
        if name in names:
            return name
    if depth == 0:
        return ""
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field.related_model is not model:
            path = _organization_path(field.related_model, depth - 1)
            if path:
                return f"{field.name}__{path}"
    return ""


def leavers_of(organization: Organization, *, now: datetime | None = None) -> "models.QuerySet[User]":
    """People who have left and whom the books still name: they used a key here, and have none that works."""
    now = now or timezone.now()
    theirs = VirtualKey.objects.filter(organization=organization, user=OuterRef("pk"))
    used = KeyLastUse.objects.filter(organization_id=organization.id, key_id=OuterRef("key_id"))
    works = Q(revoked_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=now))
    return (
        User.objects.exclude(memberships__organization=organization)
        .filter(Exists(theirs.filter(Exists(used))), ~Exists(theirs.filter(works)))
        .order_by("email")
    )
