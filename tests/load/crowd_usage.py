"""Millions of rows of usage for a crowd, shaped like coding agents' traffic, made by PostgreSQL itself.

Two million events through pods' reports take half an hour; here a day's rows are drawn in the database, laid where
arriving rows lie, and booked from there by the very statements that book what pods report.
"""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import connection, transaction
from psycopg import sql

from control_plane.usage import merging, staging
from control_plane.usage.labels import METADATA
from control_plane.usage.merging import ARRIVING, LATENCIES, grain_of, names
from control_plane.usage.models import LabelValue
from control_plane.usage.partitions import partitions_ensure
from control_plane.usage.rollups import COUNTS, LATENCY_GRAIN
from control_plane.usage.row_sums import bucket_sums, row_buckets

REPOSITORIES = 300
DAYS = 28
MINUTES_OF = timedelta(days=2)
"""Sums by the minute are made for the newest days only."""
_ULID = " || ".join(
    f"substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((ms >> {shift}) & 31)::int) + 1, 1)" for shift in range(45, -1, -5)
)
# Sizes and prices: the published quantities of hundreds of thousands of calls of coding agents.
_ROWS = f"""
INSERT INTO {ARRIVING} (day, exchange_id, attempt, kind, revision, outcome, reason, organization_id, key_id,
    principal_id, principal_kind, team_id, tags, request_tags, protocol, operation, requested_model, model, provider_id,
    provider_name, vendor, account, host, region, client, client_version, session_id, agent_id, parent_session_id,
    session_is_derived, started_at, gateway_us, first_byte_us, first_token_us, duration_us, streamed, client_status,
    upstream_status, request_bytes, response_bytes, stop_reason, error_type, error_text, upstream_request_id, chunks,
    input_fresh, input_tool, cache_read, cache_write_5m, cache_write_1h, cache_write_30m, cache_write_12h,
    cache_write_other, output, reasoning, web_searches, service_tier, inference_geo, cost_nano_usd, price_version,
    usage_is_inconsistent, is_subscription, policy_epoch, policy_version, pod_id, path, traceparent, counted_at, stage,
    agent, saved_cache_nano_usd, saved_downgrade_nano_usd, extras, price_note, label_set, session_row)
SELECT %(day)s, {_ULID} || lpad((number + %(first)s)::text, 16, '0'), CASE outcome WHEN 'refused' THEN 0 ELSE 1 END,
    'final', 0, outcome, CASE outcome WHEN 'refused' THEN 'budget_exceeded' ELSE '' END, %(organization)s, key_id,
    principal_id, principal_kind, team_id, '{{}}', jsonb_build_object('repository', 'repository-' || repository),
    'anthropic_messages', 'generate', model, model, %(provider)s, 'anthropic', 'anthropic', '', '', 'eu',
    client, '2.1.' || (number %% 4), session, '', '', false, at, gateway_us, first_token_us - 1000, first_token_us,
    duration_us, true, status, CASE outcome WHEN 'refused' THEN 0 ELSE status END, 450000, 6000, 'end_turn', '', '', '',
    200, fresh, 0, read, fresh / 2, 0, 0, 0, 0, output, 0, 0, '', '',
    read / 2 + fresh * 5 + output * 25, 'list:anthropic:' || model, false, false, 1, 1, 'pod-1', '/v1/messages', '', at,
    '', 'main', read * 4, 0, '{{}}', '', repository + 1, md5(key_id || session)::uuid
FROM (SELECT number, key_id, principal_id, principal_kind, team_id, at,
        (extract(epoch FROM at) * 1000)::bigint AS ms, number %% {REPOSITORIES} AS repository,
        (ARRAY['claude-opus-4-7', 'claude-opus-4-7', 'claude-opus-4-6', 'claude-haiku-4-5', 'claude-sonnet-4-5'])
            [1 + (random() * 4)::int] AS model,
        (ARRAY['claude-code', 'claude-code', 'codex', 'opencode'])[1 + (random() * 3)::int] AS client,
        key_id || to_char(at, 'MMDDHH24') AS session,
        exp(random_normal(6.7, 1.4))::bigint AS fresh, exp(random_normal(11.6, 0.8))::bigint AS read,
        exp(random_normal(5.5, 1.1))::bigint AS output, exp(random_normal(6.8, 0.4))::bigint AS gateway_us,
        exp(random_normal(13.6, 0.6))::bigint + 1000 AS first_token_us,
        exp(random_normal(15.5, 0.9))::bigint + 5000000 AS duration_us,
        CASE WHEN fate < 0.01 THEN 'refused' WHEN fate < 0.025 THEN 'failed' ELSE 'served' END AS outcome,
        CASE WHEN fate < 0.01 THEN 402 WHEN fate < 0.025 THEN 529 ELSE 200 END AS status
    FROM (SELECT number, random() AS fate, %(start)s + random() * interval '86390 seconds' AS at,
            -- A few people are very busy.
            (power(random(), 3) * (SELECT count(*) - 1 FROM crowd_keys))::int AS place
        FROM generate_series(1, %(count)s) AS number) AS drawn JOIN crowd_keys USING (place)) AS shaped
ORDER BY 2
"""


def usage_fill(organization_id: UUID, provider_id: UUID, *, rows: int, until: datetime, days: int = DAYS) -> None:
    """Spread rows over the days before an instant, each day in a transaction of its own."""
    per_day = rows // days
    today = until.astimezone(UTC).date()
    partitions_ensure(today - timedelta(days=back) for back in range(1, days + 1))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS crowd_keys")
        cursor.execute(
            "CREATE TEMPORARY TABLE crowd_keys AS SELECT (row_number() OVER (ORDER BY md5(key_id)))::int - 1 AS place,"
            " key_id, COALESCE(user_id, service_account_id) AS principal_id, team_id,"
            " CASE WHEN user_id IS NULL THEN 'service_account' ELSE 'user' END AS principal_kind"
            " FROM keys_virtualkey WHERE organization_id = %s",
            [organization_id],
        )
    LabelValue.objects.bulk_create(
        [
            LabelValue(
                organization_id=organization_id,
                label=METADATA + "repository",
                value=f"repository-{number}",
                first_seen_at=until,
            )
            for number in range(REPOSITORIES)
        ],
        ignore_conflicts=True,
    )
    sets = {number + 1: [(METADATA + "repository", f"repository-{number}")] for number in range(REPOSITORIES)}
    for back in range(days, 0, -1):
        day = today - timedelta(days=back)
        with transaction.atomic():
            _book_day(organization_id, provider_id, day, per_day, sets, has_minutes=timedelta(days=back) <= MINUTES_OF)


def _book_day(
    organization_id: UUID,
    provider_id: UUID,
    day: date,
    count: int,
    sets: dict[int, list[tuple[str, str]]],
    *,
    has_minutes: bool,
) -> None:
    staging.arriving_stage((), ())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off; SET LOCAL jit = off; SET LOCAL work_mem = '256MB'")
        cursor.execute(
            _ROWS,
            {
                "day": day,
                "start": datetime.combine(day, time(), UTC),
                "first": day.toordinal() * 10_000_000,
                "count": count,
                "organization": organization_id,
                "provider": provider_id,
            },
        )
    staging.ledger_insert()
    staging.label_sets_stage(sets)
    staging.latencies_stage({})
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (minute, grain, {grain}, {counts}) SELECT minute, {digest}, {grain}, {summed}"
                " FROM (SELECT date_trunc('hour', counted_at) AS minute, {grain}, {buckets} FROM {arriving}) AS rows"
                " GROUP BY minute, {grain}"
            ).format(
                sql.Identifier(LATENCIES),
                grain=names(LATENCY_GRAIN),
                counts=names(COUNTS),
                digest=grain_of(LATENCY_GRAIN),
                summed=sql.SQL(", ").join(bucket_sums()),
                buckets=sql.SQL(", ").join(row_buckets()),
                arriving=sql.Identifier(ARRIVING),
            )
        )
    merging.merge_rows(has_sessions=True, has_labels=True, has_minutes=has_minutes)
