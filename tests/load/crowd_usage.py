"""Millions of rows of usage for a crowd, shaped like coding agents' traffic, made by PostgreSQL itself.

Two million events through pods' reports take half an hour; here runs are drawn (`tests.load.crowd_runs`), the database
draws their calls, and each day's are laid where arriving rows lie and booked from there by the very statements that
book what pods report.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from psycopg import sql

from control_plane.catalog.selectors import price_for
from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.usage import merging, staging
from control_plane.usage.labels import METADATA, RULE
from control_plane.usage.merging import ARRIVING, LATENCIES, grain_of, names
from control_plane.usage.models import LabelValue
from control_plane.usage.partitions import partitions_ensure
from control_plane.usage.rollups import COUNTS, LATENCY_GRAIN, session_row_id
from control_plane.usage.row_sums import bucket_sums, row_buckets
from switchyard_contract.pricing import Price
from tests.load.crowd_runs import PROTOCOLS, REPOSITORIES, Owner, Run, runs_drawn

DAYS: Final = 28
MINUTES_OF: Final = timedelta(days=2)
"""Sums by the minute are made for the newest days only."""
LONG_AGO: Final = 1_700_000_000
"""Numbers of exchanges begin with the seconds since then, so that a crowd can be filled up again."""
_RUN_COLUMNS: Final = {
    "run": "integer",
    "calls": "integer",
    "begun_at": "timestamptz",
    "key_id": "text",
    "principal_id": "uuid",
    "principal_kind": "text",
    "team_id": "uuid",
    "session_id": "text",
    "session_row": "uuid",
    "client": "text",
    "version": "text",
    "protocol": "text",
    "path": "text",
    "vendor": "text",
    "model": "text",
    "provider_id": "uuid",
    "provider_name": "text",
    "price_version": "text",
    "rate_input": "bigint",
    "rate_read": "bigint",
    "rate_write": "bigint",
    "rate_output": "bigint",
    "takes_writes": "boolean",
    "context": "integer",
    "growth": "integer",
    "most_context": "integer",
    "repository": "integer",
    "agent_id": "text",
    "loops": "boolean",
    "breaks_at": "integer",
    "facts": "bytea",
    "facts_after": "bytea",
}
# Pauses: 84 s in the middle before somebody types, 20 minutes for one in ten; 0.3 s before a tool's answer is sent.
# Lengths and sizes: `workload.md`. What was idle for an hour has lost its cache; over five minutes, often.
_CALLS = """
CREATE TEMPORARY TABLE crowd_calls AS
WITH drawn AS MATERIALIZED (
    SELECT run, number, number = 1 OR random() < 0.11 AS typed, random() AS luck, random() AS fate,
        exp(random_normal(4.43, 2.1)) AS thought_s, exp(random_normal(-1.2, 2.5)) AS tool_s,
        exp(random_normal(15.55, 1.1))::bigint AS duration_us, exp(random_normal(6.75, 1.4))::integer AS appended,
        exp(random_normal(5.4, 1.2))::integer AS output
    FROM crowd_runs, generate_series(1, calls) AS number
), timed AS (
    SELECT *, CASE WHEN number = 1 THEN 0 WHEN typed THEN LEAST(thought_s, 40000) ELSE LEAST(tool_s, 900) END AS idle_s
    FROM drawn
), placed AS (
    SELECT run, number, typed, luck, fate, duration_us, LEAST(appended, 60000) AS appended, LEAST(output, 20000)
        AS output, idle_s, sum(idle_s + duration_us / 1000000.0) OVER (PARTITION BY run ORDER BY number) AS ended_s
    FROM timed
)
SELECT run, number, typed, fate, duration_us, appended, output,
    number = 1 OR number = breaks_at OR idle_s > 3600 OR (idle_s > 300 AND luck < 0.35) AS is_cold,
    context + (number::bigint * growth %% (most_context - context))::integer AS prefix,
    begun_at + make_interval(secs => ended_s - duration_us / 1000000.0) AS at
FROM placed JOIN crowd_runs USING (run)
WHERE begun_at + make_interval(secs => ended_s) < %(until)s
"""
_MOMENT = " || ".join(
    f"substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((ms >> {shift}) & 31)::int) + 1, 1)" for shift in range(45, -1, -5)
)
# A varint of three bytes; of a message's fields the last one counts, and bytes behind a message are more of it.
_FACTS = """
CASE WHEN breaks_at > 0 AND number >= breaks_at THEN facts_after ELSE facts END
    || '\\x20'::bytea || decode(lpad(to_hex((history & 127) | 128), 2, '0')
    || lpad(to_hex(((history >> 7) & 127) | 128), 2, '0') || lpad(to_hex((history >> 14) & 127), 2, '0'), 'hex')
    || '\\x2a08'::bytea || decode(substr(md5(run || '/' || number), 1, 16), 'hex')
    || '\\x4208'::bytea || decode(substr(md5(run || '/' || called), 1, 16), 'hex')
    || CASE WHEN typed THEN '\\x5001'::bytea ELSE ''::bytea END
"""
_ROWS = f"""
INSERT INTO {ARRIVING} (day, exchange_id, attempt, kind, revision, outcome, reason, organization_id, key_id,
    principal_id, principal_kind, team_id, tags, request_tags, protocol, operation, requested_model, model, provider_id,
    provider_name, vendor, account, host, region, client, client_version, session_id, agent_id, parent_session_id,
    session_is_derived, started_at, gateway_us, first_byte_us, first_token_us, duration_us, streamed, client_status,
    upstream_status, request_bytes, response_bytes, stop_reason, error_type, error_text, upstream_request_id, chunks,
    input_fresh, input_tool, cache_read, cache_write_5m, cache_write_1h, cache_write_30m, cache_write_12h,
    cache_write_other, output, reasoning, web_searches, service_tier, inference_geo, cost_nano_usd, price_version,
    usage_is_inconsistent, is_subscription, policy_epoch, policy_version, pod_id, path, traceparent, counted_at, stage,
    agent, saved_cache_nano_usd, saved_downgrade_nano_usd, extras, facts, price_note, label_set, session_row)
SELECT %(day)s, {_MOMENT} || lpad((%(first)s + row_number() OVER ())::text, 16, '0'), attempt, 'final', 0, outcome,
    CASE outcome WHEN 'refused' THEN 'budget_exceeded' ELSE '' END, %(organization)s, key_id, principal_id,
    principal_kind, team_id, '{{}}',
    CASE WHEN repository < 0 THEN '{{}}' ELSE jsonb_build_object('repository', 'repository-' || repository) END,
    protocol, 'generate', model, model, provider_id, provider_name, vendor, '', '', 'eu', client, version, session_id,
    CASE WHEN is_agents THEN agent_id ELSE '' END, '', false, at, gateway_us,
    attempt * first_token_us * 9 / 10, attempt * first_token_us, attempt * duration_us, true, status, attempt * status,
    prompt * 4, output * 25, CASE WHEN typed THEN 'end_turn' ELSE 'tool_use' END,
    CASE outcome WHEN 'failed' THEN 'overloaded_error' ELSE '' END, '', '', output,
    fresh, 0, read, written, 0, 0, 0, 0, output, 0, 0, '', '',
    (fresh * rate_input + read * rate_read + written * rate_write + output * rate_output + 500000) / 1000000,
    CASE attempt WHEN 0 THEN '' ELSE price_version END, false, false, 1, 1, 'pod-1', path, '', at, '',
    CASE WHEN is_agents THEN 'subagent' ELSE 'main' END,
    (read * (rate_input - rate_read) - written * (rate_write - rate_input)) / 1000000, 0, '{{}}', {_FACTS}, '',
    repository + 2, session_row
FROM (SELECT shaped.*, CASE WHEN served = 0 OR takes_writes THEN 3 * served ELSE prompt - read END::bigint AS fresh,
        CASE WHEN takes_writes THEN served * (prompt - read) ELSE 0 END::bigint AS written
    FROM (SELECT crowd_runs.*, number, typed, at, duration_us, duration_us / 4 AS first_token_us,
            (extract(epoch FROM at) * 1000)::bigint AS ms, exp(random_normal(6.8, 0.4))::bigint AS gateway_us,
            CASE WHEN fate < 0.01 THEN 'refused' WHEN fate < 0.025 THEN 'failed' ELSE 'served' END AS outcome,
            CASE WHEN fate < 0.01 THEN 402 WHEN fate < 0.025 THEN 529 ELSE 200 END AS status,
            CASE WHEN fate < 0.01 THEN 0 ELSE 1 END AS attempt, CASE WHEN fate < 0.025 THEN 0 ELSE 1 END AS served,
            (prefix + appended)::bigint * (fate >= 0.025)::integer AS prompt,
            CASE WHEN is_cold OR fate < 0.025 THEN 0 ELSE prefix END::bigint AS read,
            crowd_calls.output::bigint * (fate >= 0.025)::integer AS output,
            LEAST(prefix * 4, 2000000) AS history,
            agent_id <> '' AND number > calls / 3 AND number < calls / 2 AS is_agents,
            CASE WHEN loops AND number %% 50 > 30 THEN 0 ELSE number END AS called
        FROM crowd_calls JOIN crowd_runs USING (run) WHERE at >= %(day)s AND at < %(day)s + 1) AS shaped) AS drawn
ORDER BY 2
"""


def usage_fill(
    organization_id: UUID, *, rows: int, until: datetime, rules: Sequence[str] = (), days: int = DAYS
) -> None:
    """Spread rows over the days before an instant, each day in a transaction of its own. rules: seen by each."""
    partitions_ensure(until.astimezone(UTC).date() - timedelta(days=back) for back in range(days + 1))
    series = f"{int(until.timestamp()) - LONG_AGO}"
    people, services = _owners(organization_id)
    # Some calls of the newest runs lie beyond the instant.
    runs = runs_drawn(people, services, calls=rows + rows // 50, until=until, days=days, series=series)
    _stage_runs(organization_id, runs)
    labels = [(METADATA + "repository", f"repository-{number}") for number in range(REPOSITORIES)]
    seen = [(RULE, rule) for rule in rules]
    LabelValue.objects.bulk_create(
        [
            LabelValue(organization_id=organization_id, label=label, value=value, first_seen_at=until)
            for label, value in (*labels, *seen)
        ],
        ignore_conflicts=True,
    )
    # As `_ROWS` numbers them: the first names no repository.
    sets = {1: seen, **{number + 2: [label, *seen] for number, label in enumerate(labels)}}
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute("DROP TABLE IF EXISTS crowd_calls")
        cursor.execute(_CALLS, {"until": until})
        cursor.execute("CREATE INDEX ON crowd_calls (at)")
        cursor.execute("ANALYZE crowd_calls")
    first = int(series) * 10_000_000
    today = until.astimezone(UTC).date()
    for back in range(days, -1, -1):
        with transaction.atomic():
            first += _book_day(organization_id, today - timedelta(days=back), first, sets, today)


def _owners(organization_id: UUID) -> tuple[list[Owner], list[Owner]]:
    """People and service accounts that have keys, in an order that says nothing."""
    found: dict[str, dict[UUID, list[tuple[str, UUID]]]] = {
        "user": defaultdict(list),
        "service_account": defaultdict(list),
    }
    keys = VirtualKey.objects.filter(organization_id=organization_id, revoked_at__isnull=True).order_by("key_id")
    for key_id, user_id, account_id, team_id in keys.values_list("key_id", "user_id", "service_account_id", "team_id"):
        found["user" if user_id else "service_account"][user_id or account_id].append((key_id, team_id))
    return (
        [Owner(id_, "user", tuple(keys)) for id_, keys in found["user"].items()],
        [Owner(id_, "service_account", tuple(keys)) for id_, keys in found["service_account"].items()],
    )


def _stage_runs(organization_id: UUID, runs: Sequence[Run]) -> None:
    providers = {
        vendor: Provider.objects.filter(organization_id=organization_id, vendor=vendor).earliest("created_at")
        for vendor in PROTOCOLS
    }
    dated = {(run.made.vendor, run.made.model): run.begun_at for run in runs}
    prices = {model: _price(organization_id, vendor, model, at) for (vendor, model), at in dated.items()}
    columns = ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items())
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS crowd_runs")
        cursor.execute(f"CREATE TEMPORARY TABLE crowd_runs ({columns})")
        with cursor.copy("COPY crowd_runs FROM STDIN") as copy:
            for number, run in enumerate(runs):
                made = run.made
                price = prices[made.model]
                rates, provider = price.rates, providers[made.vendor]
                protocol, path = PROTOCOLS[made.vendor]
                copy.write_row(
                    (
                        number,
                        run.calls,
                        run.begun_at,
                        run.key_id,
                        run.owner.principal_id,
                        run.owner.kind,
                        run.team_id,
                        run.session_id,
                        session_row_id(organization_id, run.key_id, run.session_id),
                        run.client,
                        run.version,
                        protocol,
                        path,
                        made.vendor,
                        made.model,
                        provider.id,
                        provider.name,
                        price.id,
                        rates.input,
                        rates.input if rates.cache_read is None else rates.cache_read,
                        rates.input if rates.cache_write_5m is None else rates.cache_write_5m,
                        rates.output,
                        made.vendor == "anthropic",
                        min(run.context, made.window // 2),
                        run.growth,
                        made.window,
                        run.repository,
                        run.agent_id,
                        run.loops,
                        run.breaks_at,
                        run.facts("tools"),
                        run.facts("other"),
                    )
                )
        cursor.execute("ANALYZE crowd_runs")


def _price(organization_id: UUID, vendor: str, model: str, at: datetime) -> Price:
    price = price_for(organization_id, vendor, model, at)
    if price is None:
        raise LookupError(f"{model} has no price in the book")
    return price


def _book_day(organization_id: UUID, day: date, first: int, sets: dict[int, list[tuple[str, str]]], today: date) -> int:
    """Book the calls of a day; returns how many there are."""
    staging.arriving_stage((), ())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off; SET LOCAL jit = off; SET LOCAL work_mem = '256MB'")
        cursor.execute(_ROWS, {"day": day, "first": first, "organization": organization_id})
        count: int = cursor.rowcount
    staging.ledger_insert()
    staging.label_sets_stage(sets)
    staging.latencies_stage({})
    has_minutes = today - day <= MINUTES_OF
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (minute, grain, {grain}, {counts}) SELECT minute, {digest}, {grain}, {summed}"
                " FROM (SELECT date_trunc({period}, counted_at) AS minute, {grain}, {buckets} FROM {arriving}) AS rows"
                " GROUP BY minute, {grain}"
            ).format(
                sql.Identifier(LATENCIES),
                grain=names(LATENCY_GRAIN),
                counts=names(COUNTS),
                digest=grain_of(LATENCY_GRAIN),
                summed=sql.SQL(", ").join(bucket_sums()),
                period=sql.Literal("minute" if has_minutes else "hour"),
                buckets=sql.SQL(", ").join(row_buckets()),
                arriving=sql.Identifier(ARRIVING),
            )
        )
    merging.fold_rows(has_labels=True)
    merging.merge_rows(has_sessions=True, has_labels=True, has_minutes=has_minutes)
    return count
