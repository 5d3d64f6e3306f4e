"""Roll-ups by minute, by team and by label; latencies apart; who stands in the books under another name.

What was summed up before is carried over; sums by label begin with the rows that are booked from now on.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from control_plane.usage import decisions, histogram

SUMS = (
    *("requests", "attempts", "errors", "refusals", "estimates", "unpriced", "dearest"),
    *("input_fresh", "input_tool", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m"),
    *("cache_write_12h", "cache_write_other", "output", "reasoning", "web_searches"),
    *("cost_nano_usd", "subscription_cost_nano_usd", "saved_cache_nano_usd", "saved_downgrade_nano_usd"),
)
NEW_SUMS = ("unpriced", "dearest", "saved_cache_nano_usd", "saved_downgrade_nano_usd")
OLD_SUMS = tuple(name for name in SUMS if name not in NEW_SUMS)
COUNTS = ("gateway_counts", "first_token_counts", "inter_token_counts", "duration_counts")
IDS = ("organization_id", "team_id", "principal_id", "provider_id")
LENGTHS = {"principal_kind": 16, "agent": 16, "stage": 16, "outcome": 10, "status_class": 3, "failure": 20}
LENGTHS["label"] = 220
NEW_NAMES = ("region", "agent", "stage", "reason", "failure", "client_version")
TEAM = (
    *("organization_id", "team_id", "principal_kind", "provider_id", "provider_name", "model", "client", "protocol"),
    *("region", "agent", "stage", "outcome", "status_class", "reason", "failure"),
)
WHOLE = (*TEAM, "principal_id", "key_id", "requested_model", "client_version")
MODEL_LATENCY = ("organization_id", "provider_id", "provider_name", "model", "client", "protocol", "region")
LABEL = ("organization_id", "label", "value", "team_id")
FILLED = (
    *("usagehour", "usageday", "teamminute", "teamhour", "teamday", "latencyminute", "latencyhour", "latencyday"),
    *("labelhour", "labelday"),
)
"""Tables whose newest rows are changed again and again: room on each page lets that pass without touching an index."""


def column(name: str, *, is_new: bool) -> "models.Field[Any, Any]":
    if name in IDS:
        return models.UUIDField(null=name != "organization_id")
    more: dict[str, Any] = {"db_default": ""} if is_new and name in NEW_NAMES else {}
    return models.CharField(max_length=LENGTHS.get(name, 200), **more)


def sums() -> "list[tuple[str, models.Field[Any, Any]]]":
    return [
        (name, models.BigIntegerField(default=0, **({"db_default": 0} if name in NEW_SUMS else {}))) for name in SUMS
    ]


def counts() -> "list[tuple[str, models.Field[Any, Any]]]":
    return [(name, ArrayField(models.BigIntegerField(), default=histogram.empty)) for name in COUNTS]


def rollup(
    name: str,
    period: str,
    grain: tuple[str, ...],
    measures: "list[tuple[str, models.Field[Any, Any]]]",
    *,
    key: tuple[str, ...] = (),
    indexes: "list[models.Index]",
    is_new: bool = True,
) -> migrations.CreateModel:
    at = models.DateField() if period == "day" else models.DateTimeField()
    return migrations.CreateModel(
        name,
        [
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    *key,
                    period,
                    "grain",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            (period, at),
            ("grain", models.UUIDField()),
            *((each, column(each, is_new=is_new)) for each in grain),
            *measures,
        ],
        options={"indexes": indexes},
    )


def index(name: str, *fields: str) -> models.Index:
    return models.Index(fields=fields, name=name)


# Statements are put together from the names above, and from nobody's words.
def grain_of(grain: tuple[str, ...]) -> str:
    return f"md5(ROW({', '.join(grain)})::text)::uuid"


def carried(table: str, period: str, grain: tuple[str, ...]) -> str:
    """Sums of a table of before, by a grain whose new columns are empty."""
    old = [name for name in grain if name not in NEW_NAMES]
    found = ", ".join(name if name in old else f"''::text AS {name}" for name in grain)
    summed = ", ".join(f"sum({name})::bigint AS {name}" for name in OLD_SUMS)
    return (
        f"SELECT {period}, {grain_of(grain)}, {', '.join(grain)}, {', '.join(OLD_SUMS)}"  # noqa: S608
        f" FROM (SELECT {period}, {found}, {summed} FROM usage_{table}_before"
        f" GROUP BY {period}, {', '.join(old)}) AS summed"
    )


def carry(target: str, source: str, period: str, grain: tuple[str, ...]) -> str:
    return (
        f"INSERT INTO usage_{target} ({period}, grain, {', '.join(grain)}, {', '.join(OLD_SUMS)},"  # noqa: S608
        f" {', '.join(NEW_SUMS)}) SELECT *, 0, 0, 0, 0 FROM ({carried(source, period, grain)}) AS found"
    )


def carry_counts(target: str, source: str, period: str, grain: tuple[str, ...]) -> str:
    def summed(name: str) -> str:
        if name == "inter_token_counts":
            return "array_fill(0::bigint, ARRAY[24])"
        return f"ARRAY[{', '.join(f'sum({name}[{place}])::bigint' for place in range(1, 25))}]"

    old = [name for name in grain if name not in NEW_NAMES]
    found = ", ".join(name if name in old else f"''::text AS {name}" for name in grain)
    arrays = ", ".join(f"{summed(name)} AS {name}" for name in COUNTS)
    return (
        f"INSERT INTO usage_{target} ({period}, grain, {', '.join(grain)}, {', '.join(COUNTS)})"  # noqa: S608
        f" SELECT {period}, {grain_of(grain)}, {', '.join(grain)}, {', '.join(COUNTS)}"
        f" FROM (SELECT {period}, {found}, {arrays} FROM usage_{source}_before"
        f" GROUP BY {period}, {', '.join(old)}) AS summed"
    )


CARRY = (
    carry("usagehour", "usagehour", "hour", WHOLE),
    carry("usageday", "usageday", "day", WHOLE),
    carry("teamhour", "usagehour", "hour", TEAM),
    carry("teamday", "usageday", "day", TEAM),
    carry_counts("latencyhour", "usagehour", "hour", MODEL_LATENCY),
    carry_counts("latencyday", "usageday", "day", MODEL_LATENCY),
    "DROP TABLE usage_usagehour_before",
    "DROP TABLE usage_usageday_before",
)


def set_aside(table: str) -> list[str]:
    short = table.removeprefix("usage")
    return [
        *(f"DROP INDEX usage_{short}_{what}" for what in ("organization", "principal", "key")),
        f"ALTER TABLE usage_{table} RENAME TO usage_{table}_before",
        f"ALTER INDEX usage_{table}_pkey RENAME TO usage_{table}_before_pkey",
    ]


def name_rules(apps: Any, editor: Any) -> None:
    """Rules that rows of before name become known by their ids."""
    seen = apps.get_model("usage", "RulesSeen")
    for row in seen.objects.iterator(chunk_size=500):
        rules = decisions.inflate_rules(bytes(row.payload))
        row.rule_ids = sorted({rule.id[:200] for rule in rules.rules if rule.matched and rule.id})
        row.save(update_fields=["rule_ids"])


def keep(apps: Any, editor: Any) -> None:
    """Nothing to take back: the column goes."""


class Migration(migrations.Migration):
    dependencies = [("usage", "0009_adjustments")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL([*set_aside("usagehour"), *set_aside("usageday")], elidable=False),
            ],
            state_operations=[migrations.DeleteModel("UsageHour"), migrations.DeleteModel("UsageDay")],
        ),
        rollup(
            "UsageHour",
            "hour",
            WHOLE,
            sums(),
            indexes=[
                index("usage_hour_principal", "organization_id", "principal_id", "hour"),
                index("usage_hour_key", "organization_id", "key_id", "hour"),
            ],
        ),
        rollup(
            "UsageDay",
            "day",
            WHOLE,
            sums(),
            indexes=[
                index("usage_day_principal", "organization_id", "principal_id", "day"),
                index("usage_day_key", "organization_id", "key_id", "day"),
            ],
        ),
        rollup("TeamMinute", "minute", TEAM, sums(), indexes=[index("usage_minute_age", "minute")]),
        rollup("TeamHour", "hour", TEAM, sums(), indexes=[]),
        rollup("TeamDay", "day", TEAM, sums(), indexes=[]),
        rollup(
            "LatencyMinute",
            "minute",
            MODEL_LATENCY,
            counts(),
            indexes=[index("usage_latency_minute_age", "minute")],
            is_new=False,
        ),
        rollup("LatencyHour", "hour", MODEL_LATENCY, counts(), indexes=[], is_new=False),
        rollup("LatencyDay", "day", MODEL_LATENCY, counts(), indexes=[], is_new=False),
        rollup("LabelHour", "hour", LABEL, sums(), key=("label",), indexes=[]),
        rollup("LabelDay", "day", LABEL, sums(), key=("label",), indexes=[]),
        migrations.CreateModel(
            "LabelValue",
            [
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "label",
                        "value",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organization_id", models.UUIDField()),
                ("label", models.CharField(max_length=220)),
                ("value", models.CharField(max_length=200)),
                ("first_seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            "LabelOverflow",
            [
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id", "label", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField()),
                ("label", models.CharField(max_length=220)),
                ("rows", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            "Pseudonym",
            [
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("name", models.CharField(max_length=60)),
                ("principal_id", models.UUIDField(null=True)),
                ("key_names", models.JSONField()),
                ("next_day", models.DateField(null=True)),
                ("asked_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["organization_id", "-asked_at"], name="usage_pseudonym_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "principal_id"), name="usage_pseudonym_one_at_a_time"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(finished_at__isnull=True)
                        | models.Q(principal_id__isnull=True, key_names={}, next_day__isnull=True),
                        name="usage_pseudonym_leads_nowhere",
                    ),
                ],
            },
        ),
        migrations.RunSQL([*(f"ALTER TABLE usage_{name} SET (fillfactor = 70)" for name in FILLED)], elidable=False),
        migrations.RunSQL(CARRY, elidable=False),
        *(
            migrations.RemoveField("conversationsession", name)
            for name in ("gateway_counts", "first_token_counts", "duration_counts")
        ),
        *(
            migrations.AddField("conversationsession", name, models.BigIntegerField(default=0, db_default=0))
            for name in NEW_SUMS
        ),
        migrations.AddField("rulesseen", "rule_ids", ArrayField(models.CharField(max_length=200), db_default=[])),
        migrations.RunPython(name_rules, keep),
        # Payloads do not shrink enough to be worth compressing a second time on their way in and out.
        migrations.RunSQL("ALTER TABLE usage_inboxbatch ALTER COLUMN payload SET STORAGE EXTERNAL", elidable=False),
    ]
