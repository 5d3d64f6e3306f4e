"""The ledger: partitioned by admission day, append-only.

Partitions are made by `control_plane.usage.partitions`. The day is a function of the exchange's id, so uniqueness holds
although the table is partitioned, and lasts as long as the ledger does.
"""

from django.db import migrations, models

CREATE = """
CREATE TABLE usage_ledger (
    day date NOT NULL,
    exchange_id text COLLATE "C" NOT NULL,
    attempt integer NOT NULL CHECK (attempt >= 0),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('final', 'counted', 'estimated', 'reversal')),
    revision integer NOT NULL CHECK (revision >= 0),
    outcome text NOT NULL CHECK (outcome IN ('served', 'refused', 'failed', 'cancelled', 'internal')),
    reason text NOT NULL,
    organization_id uuid NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    principal_id uuid,
    principal_kind text NOT NULL,
    team_id uuid,
    tags jsonb NOT NULL,
    request_tags jsonb NOT NULL,
    protocol text NOT NULL,
    operation text NOT NULL,
    requested_model text NOT NULL,
    model text NOT NULL,
    provider_id uuid,
    provider_name text NOT NULL,
    vendor text NOT NULL,
    account text NOT NULL,
    host text NOT NULL,
    region text NOT NULL,
    client text NOT NULL,
    client_version text NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    agent_id text NOT NULL,
    parent_session_id text NOT NULL,
    session_is_derived boolean NOT NULL,
    started_at timestamptz NOT NULL,
    gateway_us bigint NOT NULL,
    first_byte_us bigint NOT NULL,
    first_token_us bigint NOT NULL,
    duration_us bigint NOT NULL,
    streamed boolean NOT NULL,
    client_status integer NOT NULL,
    upstream_status integer NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    stop_reason text NOT NULL,
    error_type text NOT NULL,
    error_text text NOT NULL,
    upstream_request_id text NOT NULL,
    chunks bigint NOT NULL,
    input_fresh bigint NOT NULL,
    input_tool bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    cache_write_30m bigint NOT NULL,
    cache_write_12h bigint NOT NULL,
    cache_write_other bigint NOT NULL,
    output bigint NOT NULL,
    reasoning bigint NOT NULL,
    web_searches bigint NOT NULL,
    service_tier text NOT NULL,
    inference_geo text NOT NULL,
    cost_nano_usd bigint NOT NULL,
    price_version text NOT NULL,
    usage_is_inconsistent boolean NOT NULL,
    is_subscription boolean NOT NULL,
    policy_epoch bigint NOT NULL,
    policy_version bigint NOT NULL,
    pod_id text NOT NULL,
    path text NOT NULL,
    traceparent text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CHECK (kind = 'reversal' OR (cost_nano_usd >= 0 AND input_fresh >= 0 AND cache_read >= 0 AND output >= 0)),
    PRIMARY KEY (day, exchange_id, attempt, kind, revision)
) PARTITION BY RANGE (day);

CREATE INDEX usage_ledger_newest ON usage_ledger (organization_id, exchange_id);
CREATE INDEX usage_ledger_principal ON usage_ledger (organization_id, principal_id, exchange_id);
CREATE INDEX usage_ledger_key ON usage_ledger (organization_id, key_id, exchange_id);
CREATE INDEX usage_ledger_session ON usage_ledger (organization_id, session_id, exchange_id) WHERE session_id <> '';

CREATE FUNCTION usage_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: write a reversal instead';
END
$$;

CREATE TRIGGER usage_ledger_append_only BEFORE UPDATE OR DELETE ON usage_ledger
    FOR EACH ROW EXECUTE FUNCTION usage_ledger_refuse_change();
"""

DROP = """
DROP TABLE usage_ledger;
DROP FUNCTION usage_ledger_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="LedgerEntry",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "day",
                                "exchange_id",
                                "attempt",
                                "kind",
                                "revision",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("day", models.DateField()),
                        ("exchange_id", models.CharField(max_length=26)),
                        ("attempt", models.IntegerField()),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("estimated", "estimated"),
                                    ("counted", "counted"),
                                    ("final", "final"),
                                    ("reversal", "reversal"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("revision", models.IntegerField()),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("served", "served"),
                                    ("refused", "refused"),
                                    ("failed", "failed"),
                                    ("cancelled", "cancelled"),
                                    ("internal", "internal"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("reason", models.CharField(max_length=200)),
                        ("organization_id", models.UUIDField()),
                        ("key_id", models.CharField(max_length=200)),
                        ("principal_id", models.UUIDField(null=True)),
                        ("principal_kind", models.CharField(max_length=16)),
                        ("team_id", models.UUIDField(null=True)),
                        ("tags", models.JSONField()),
                        ("request_tags", models.JSONField()),
                        ("protocol", models.CharField(max_length=200)),
                        ("operation", models.CharField(max_length=200)),
                        ("requested_model", models.CharField(max_length=200)),
                        ("model", models.CharField(max_length=200)),
                        ("provider_id", models.UUIDField(null=True)),
                        ("provider_name", models.CharField(max_length=200)),
                        ("vendor", models.CharField(max_length=200)),
                        ("account", models.CharField(max_length=200)),
                        ("host", models.CharField(max_length=200)),
                        ("region", models.CharField(max_length=200)),
                        ("client", models.CharField(max_length=200)),
                        ("client_version", models.CharField(max_length=200)),
                        ("session_id", models.CharField(max_length=200)),
                        ("agent_id", models.CharField(max_length=200)),
                        ("parent_session_id", models.CharField(max_length=200)),
                        ("session_is_derived", models.BooleanField()),
                        ("started_at", models.DateTimeField()),
                        ("gateway_us", models.BigIntegerField()),
                        ("first_byte_us", models.BigIntegerField()),
                        ("first_token_us", models.BigIntegerField()),
                        ("duration_us", models.BigIntegerField()),
                        ("streamed", models.BooleanField()),
                        ("client_status", models.IntegerField()),
                        ("upstream_status", models.IntegerField()),
                        ("request_bytes", models.BigIntegerField()),
                        ("response_bytes", models.BigIntegerField()),
                        ("stop_reason", models.CharField(max_length=200)),
                        ("error_type", models.CharField(max_length=200)),
                        ("error_text", models.CharField(max_length=2000)),
                        ("upstream_request_id", models.CharField(max_length=200)),
                        ("chunks", models.BigIntegerField()),
                        ("input_fresh", models.BigIntegerField()),
                        ("input_tool", models.BigIntegerField()),
                        ("cache_read", models.BigIntegerField()),
                        ("cache_write_5m", models.BigIntegerField()),
                        ("cache_write_1h", models.BigIntegerField()),
                        ("cache_write_30m", models.BigIntegerField()),
                        ("cache_write_12h", models.BigIntegerField()),
                        ("cache_write_other", models.BigIntegerField()),
                        ("output", models.BigIntegerField()),
                        ("reasoning", models.BigIntegerField()),
                        ("web_searches", models.BigIntegerField()),
                        ("service_tier", models.CharField(max_length=200)),
                        ("inference_geo", models.CharField(max_length=200)),
                        ("cost_nano_usd", models.BigIntegerField()),
                        ("price_version", models.CharField(max_length=200)),
                        ("usage_is_inconsistent", models.BooleanField()),
                        ("is_subscription", models.BooleanField()),
                        ("policy_epoch", models.BigIntegerField()),
                        ("policy_version", models.BigIntegerField()),
                        ("pod_id", models.CharField(max_length=200)),
                        ("path", models.CharField(max_length=2000)),
                        ("traceparent", models.CharField(max_length=200)),
                        ("recorded_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "usage_ledger",
                    },
                ),
            ],
        )
    ]
