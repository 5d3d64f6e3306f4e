"""Repricing of a past window: worked out and shown first, then booked as superseding rows, a part at a time.

Nothing is rewritten. A repriced row is the same attempt and kind with the next revision; the ledger's own replacement
takes the old one back. What is of a closed month counts now, as every late truth does. Each part is one transaction
that also moves the cursor, so a worker that dies leaves a run that the next one goes on with, and a part that comes
twice finds nothing to do.

Failure: `RepricingFailure`, when a run is not in the state that is asked for.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

import structlog
from celery import current_app
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from psycopg import sql

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.catalog.selectors import Book, book_of, price_row_by_version
from control_plane.organizations.models import Organization
from control_plane.usage import closing
from control_plane.usage.aggregation import book_rows
from control_plane.usage.entries import COLUMNS, JSON_COLUMNS, LedgerRow
from control_plane.usage.ledger_lock import lock_ledger
from control_plane.usage.listening import tell_of_repricing
from control_plane.usage.replacement import standing
from control_plane.usage.repriced import Repricer
from control_plane.usage.repricing_models import Repricing, RepricingState

log = structlog.get_logger(__name__)

PART = 1000
"""Exchanges per transaction: a few hundred milliseconds in which the ledger waits."""
MOST_GLOBS = 50
LONGEST_REASON = 500
LONGEST_DAYS = 400
MOST_NAMED = 200
"""Models and teams that are told apart in what would change."""


class RepricingFailure(Exception):
    """The run is not in the state for this."""


@transaction.atomic
def repricing_begin(
    *,
    organization: Organization,
    since: datetime,
    until: datetime,
    reason: str,
    actor: Actor,
    model_globs: Sequence[str] = (),
    team_ids: Sequence[UUID] = (),
    now: datetime | None = None,
) -> Repricing:
    """Begin to work out what a window would cost at the prices of now. Raises ValidationError by field."""
    now = now or timezone.now()
    _check(since, until, model_globs, reason, now)
    return Repricing.objects.create(
        organization_id=organization.id,
        since=since,
        until=min(until, now),
        model_globs=sorted(set(model_globs)),
        team_ids=sorted({team_id.hex for team_id in team_ids}),
        reason=reason.strip(),
        created_at=now,
        created_by=actor.name[:200],
    )


@transaction.atomic
def repricing_apply(*, repricing: Repricing, actor: Actor, now: datetime | None = None) -> Repricing:
    """Let what was worked out be booked. Raises RepricingFailure where it is not ready, or the prices have changed."""
    now = now or timezone.now()
    run = Repricing.objects.select_for_update().get(id=repricing.id)
    if run.state in (RepricingState.APPLYING, RepricingState.DONE):
        return run
    if run.state != RepricingState.READY:
        raise RepricingFailure(f"This repricing is {run.get_state_display()}; nothing can be booked.")
    if digest_of(book_of(run.organization_id)) != run.book_digest:
        _leave(run, RepricingState.STALE, now)
        return run
    run.state, run.applied_at, run.applied_by = RepricingState.APPLYING, now, actor.name[:200]
    run.cursor_day, run.cursor_exchange = None, ""
    run.save()
    record_change(
        organization_id=run.organization_id,
        actor=actor,
        action="usage.repriced",
        subject=Subject("repricing", run.id.hex, f"{run.since:%Y-%m-%d} to {run.until:%Y-%m-%d}"),
        before={"cost_nano_usd": run.old_nano_usd},
        after={"cost_nano_usd": run.new_nano_usd, "rows": run.changed, "models": run.model_globs},
        reason=run.reason,
    )
    return run


@transaction.atomic
def repricing_drop(*, repricing: Repricing, now: datetime | None = None) -> Repricing:
    """Put away what is not booked yet. Raises RepricingFailure once booking has begun."""
    run = Repricing.objects.select_for_update().get(id=repricing.id)
    if run.state in (RepricingState.APPLYING, RepricingState.DONE):
        raise RepricingFailure("It is booked, or being booked. Set the prices right and reprice once more.")
    _leave(run, RepricingState.DROPPED, now or timezone.now())
    return run


def repricing_work(run_id: UUID, *, now: datetime | None = None, most_parts: int = 10_000) -> Repricing | None:
    """Go on with a run until it waits for people or is done. None: there is no such run."""
    for _ in range(most_parts):
        with transaction.atomic():
            run = Repricing.objects.select_for_update().filter(id=run_id).first()
            if run is None or not _work_part(run, now or timezone.now()):
                return run
    return run


def repricing_wake(run: Repricing) -> None:
    """Ask a worker to go on with a run once the transaction is through. A sweep finds it if the message is lost."""
    if run.state in (RepricingState.COMPUTING, RepricingState.APPLYING):
        transaction.on_commit(lambda: _send(run.id.hex))


def _send(run_id: str) -> None:
    try:
        current_app.send_task("usage.reprice", (run_id,), retry=False, expires=60)
    except OperationalError as failure:
        log.warning("the broker took no message; the sweep will find the work", why=type(failure).__name__)


def unfinished_repricings() -> list[UUID]:
    """Runs that a worker should go on with."""
    states = (RepricingState.COMPUTING, RepricingState.APPLYING)
    return list(Repricing.objects.filter(state__in=states).order_by("created_at").values_list("id", flat=True))


def repricings_of(organization_id: UUID) -> list[Repricing]:
    """The newest runs of an organization."""
    return list(Repricing.objects.filter(organization_id=organization_id)[:100])


def digest_of(book: Book) -> UUID:
    """Name a book by all that can decide a price."""
    digest = blake2b(digest_size=16)
    prices = sorted(
        (price.id, price.valid_from_ms, price.valid_to_ms)
        for index in (book.own, book.listed)
        for rows in index.values()
        for price in rows
    )
    taken = sorted((each.id, each.valid_from_ms, each.valid_to_ms) for each in book.discounts)
    digest.update(repr((prices, taken, book.unknown_models)).encode())
    return UUID(bytes=digest.digest())


def _work_part(run: Repricing, now: datetime) -> bool:
    """Do one part; say whether there is more."""
    if run.state not in (RepricingState.COMPUTING, RepricingState.APPLYING):
        return False
    is_booking = run.state == RepricingState.APPLYING
    if is_booking:
        # Nothing may be replaced between the look at a row and what takes its place.
        lock_ledger(is_exclusive=True)
    book = book_of(run.organization_id)
    digest = digest_of(book)
    if run.book_digest is None:
        run.book_digest = digest
    if run.book_digest != digest:
        _leave(run, RepricingState.STALE, now)
        return False
    rows, end = _read(run)
    repricer = Repricer(book, _model_of)
    changes = [(row, new) for row in rows if (new := repricer.reprice(row)) is not None]
    if is_booking:
        book_rows([new for _, new in changes], now=now)
        run.booked += len(changes)
        run.booked_nano_usd += sum(new.cost_nano_usd - old.cost_nano_usd for old, new in changes)
    else:
        run.seen += len(rows)
        _note(run, changes)
    if end is None:
        _finish(run, now)
        return False
    run.cursor_day, run.cursor_exchange = end
    run.save()
    return True


def _finish(run: Repricing, now: datetime) -> None:
    if run.state == RepricingState.APPLYING:
        _leave(run, RepricingState.DONE, now)
        if run.booked:
            tell_of_repricing(run.organization_id)
        log.info("usage repriced", repricing_id=run.id.hex, rows=run.booked)
        return
    run.state, run.cursor_day, run.cursor_exchange = RepricingState.READY, None, ""
    run.save()


def _leave(run: Repricing, state: RepricingState, now: datetime) -> None:
    run.state, run.finished_at = state, now
    run.save()


def _note(run: Repricing, changes: Iterable[tuple[LedgerRow, LedgerRow]]) -> None:
    for old, new in changes:
        run.changed += 1
        run.old_nano_usd += old.cost_nano_usd
        run.new_nano_usd += new.cost_nano_usd
        for table, name in ((run.by_model, old.model), (run.by_team, old.team_id.hex if old.team_id else "")):
            sums = table.setdefault(name if name in table or len(table) < MOST_NAMED else "…", [0, 0, 0])
            sums[0] += 1
            sums[1] += old.cost_nano_usd
            sums[2] += new.cost_nano_usd


def _read(run: Repricing) -> tuple[list[LedgerRow], tuple[date, str] | None]:
    """The standing rows of the next exchanges, and where they end; None: these are the last."""
    since, until = run.since, run.until
    conditions = [
        sql.SQL("organization_id = {}").format(sql.Literal(run.organization_id)),
        sql.SQL("started_at >= {} AND started_at < {}").format(sql.Literal(since), sql.Literal(until)),
        # The partition's day is that of admission, at most minutes before the start.
        sql.SQL("day >= {} AND day <= {}").format(
            sql.Literal((since - timedelta(days=1)).date()), sql.Literal((until + timedelta(days=1)).date())
        ),
        sql.SQL("kind NOT IN ('reversal', 'adjustment') AND attempt > 0"),
    ]
    if run.team_ids:
        conditions.append(sql.SQL("team_id = ANY({}::uuid[])").format(sql.Literal([UUID(t) for t in run.team_ids])))
    if run.model_globs:
        patterns = [_like(glob) for glob in run.model_globs]
        conditions.append(sql.SQL("model LIKE ANY({})").format(sql.Literal(patterns)))
    if run.cursor_day is not None:
        conditions.append(
            sql.SQL("(day, exchange_id) > ({}, {})").format(
                sql.Literal(run.cursor_day), sql.Literal(run.cursor_exchange)
            )
        )
    chosen = sql.SQL(
        "SELECT DISTINCT day, exchange_id FROM usage_ledger WHERE {} ORDER BY day, exchange_id LIMIT {}"
    ).format(sql.SQL(" AND ").join(conditions), sql.Literal(PART))
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier("entry", name))
        if name in JSON_COLUMNS
        else sql.Identifier("entry", name)
        for name in COLUMNS
    )
    with connection.cursor() as cursor:
        cursor.execute(chosen)
        found = cursor.fetchall()
        if not found:
            return [], None
        statement = sql.SQL(
            "SELECT {} FROM usage_ledger AS entry JOIN ({}) AS chosen USING (day, exchange_id)"
            " WHERE entry.organization_id = {}"
        ).format(columns, chosen, sql.Literal(run.organization_id))
        cursor.execute(statement)
        rows = [LedgerRow(*values) for values in cursor.fetchall()]
    end = (found[-1][0], found[-1][1]) if len(found) == PART else None
    return [row for row in standing(rows).values() if _is_meant(run, row)], end


def _is_meant(run: Repricing, row: LedgerRow) -> bool:
    """Whether an attempt is of the window: other attempts of its exchange may not be."""
    if not run.since <= row.started_at < run.until or not row.attempt:
        return False
    if run.team_ids and (row.team_id is None or row.team_id.hex not in run.team_ids):
        return False
    return not run.model_globs or any(fnmatchcase(row.model, glob) for glob in run.model_globs)


def _like(glob: str) -> str:
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


@lru_cache(maxsize=4096)
def _model_of_version(version: str) -> str:
    row = price_row_by_version(version, _NOBODY)
    return row.model if row is not None else ""


_NOBODY = UUID(int=0)


def _model_of(version: str) -> str:
    """The model of a list price; of an own one its name says it."""
    if version.startswith("own:"):
        return version.removeprefix("own:").partition("/")[2].rpartition("@")[0]
    return _model_of_version(version)


def _check(since: datetime, until: datetime, globs: Sequence[str], reason: str, now: datetime) -> None:
    problems: dict[str, str] = {}
    if until <= since:
        problems["until"] = "The window ends before it begins."
    elif until - since > timedelta(days=LONGEST_DAYS):
        problems["until"] = f"At most {LONGEST_DAYS} days at once."
    if since >= now:
        problems["since"] = "The window begins in the future: nothing was used there yet."
    if len(globs) > MOST_GLOBS or any(not glob or len(glob) > 200 or set(glob) & set("[]") for glob in globs):
        problems["models"] = f"Names of models, at most {MOST_GLOBS}, with * for any text and ? for one character."
    if not reason.strip():
        problems["reason"] = "Say why; it stands in the audit."
    elif len(reason) > LONGEST_REASON:
        problems["reason"] = f"At most {LONGEST_REASON} characters."
    if problems:
        raise ValidationError(problems)


def counts_now(run: Repricing) -> bool:
    """Whether a part of the window is of closed months, so that what changes there counts in the present one."""
    end = closing.closed_until(run.organization_id)
    return end is not None and run.since < end
