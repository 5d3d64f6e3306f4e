"""What was decided stands with the row; sums of what counters of budgets were charged; what rules did each day."""

from django.db import migrations, models
from django.db.models.functions import Now

ADD = """
ALTER TABLE usage_ledger ADD COLUMN decision bytea, ADD COLUMN rules_digest uuid;
"""

REMOVE = """
ALTER TABLE usage_ledger DROP COLUMN decision, DROP COLUMN rules_digest;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0003_rollups_of_one")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD, REMOVE)],
            state_operations=[
                migrations.AddField(model_name="ledgerentry", name="decision", field=models.BinaryField(null=True)),
                migrations.AddField(model_name="ledgerentry", name="rules_digest", field=models.UUIDField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="BudgetSpend",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("budget_id", models.UUIDField()),
                ("counter", models.TextField()),
                ("period_ms", models.BigIntegerField()),
                ("posted_nano_usd", models.BigIntegerField()),
                ("count", models.BigIntegerField()),
                ("last_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["organization_id", "budget_id", "period_ms"], name="usage_budget_spend_period"
                    ),
                    models.Index(fields=["changed_at"], name="usage_budget_spend_changed"),
                    models.Index(fields=["last_at"], name="usage_budget_spend_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RulesSeen",
            fields=[
                ("digest", models.UUIDField(primary_key=True, serialize=False)),
                ("payload", models.BinaryField()),
                ("last_day", models.DateField()),
            ],
            options={"indexes": [models.Index(fields=["last_day"], name="usage_rules_seen_age")]},
        ),
        migrations.CreateModel(
            name="RuleDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "day",
                        "rule_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organization_id", models.UUIDField()),
                ("day", models.DateField()),
                ("rule_id", models.CharField(max_length=200)),
                ("kind", models.CharField(max_length=20)),
                ("matched", models.BigIntegerField(default=0)),
                ("refused", models.BigIntegerField(default=0)),
                ("shadow_refused", models.BigIntegerField(default=0)),
                ("downgraded", models.BigIntegerField(default=0)),
            ],
            options={"indexes": [models.Index(fields=["day"], name="usage_rule_day_age")]},
        ),
    ]
