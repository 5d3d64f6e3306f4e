"""Statements of closed months, as they were closed."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ClosedStatement",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("month", models.DateField()),
                ("closed_at", models.DateTimeField()),
                ("closed_by", models.CharField(max_length=200)),
            ],
            options={
                "ordering": ["-month"],
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "month"), name="statements_statement_once"),
                    models.CheckConstraint(
                        condition=models.Q(("month__day", 1)), name="statements_statement_is_of_a_month"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClosedAccount",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("team_id", models.UUIDField(null=True)),
                ("team", models.CharField(blank=True, max_length=100)),
                ("cost_centre", models.CharField(blank=True, max_length=100)),
                ("opening_nano_usd", models.BigIntegerField()),
                ("used_nano_usd", models.BigIntegerField()),
                ("corrected_nano_usd", models.BigIntegerField()),
                ("shadow_nano_usd", models.BigIntegerField()),
                ("requests", models.BigIntegerField()),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accounts",
                        to="statements.closedstatement",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ClosedUsageLine",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("principal_id", models.UUIDField(null=True)),
                ("principal_kind", models.CharField(blank=True, max_length=16)),
                ("principal", models.CharField(blank=True, max_length=254)),
                ("provider", models.CharField(blank=True, max_length=200)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("requests", models.BigIntegerField()),
                ("tokens_in", models.BigIntegerField()),
                ("tokens_out", models.BigIntegerField()),
                ("paid_nano_usd", models.BigIntegerField()),
                ("shadow_nano_usd", models.BigIntegerField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usage_lines",
                        to="statements.closedaccount",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="ClosedCorrection",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("counted_on", models.DateField()),
                ("about_month", models.DateField(null=True)),
                ("kind", models.CharField(max_length=16)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("principal_id", models.UUIDField(null=True)),
                ("principal", models.CharField(blank=True, max_length=254)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("rows", models.BigIntegerField()),
                ("amount_nano_usd", models.BigIntegerField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="corrections",
                        to="statements.closedaccount",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [models.Index(fields=["principal_id"], name="statements_correction_principal")],
            },
        ),
        migrations.AddConstraint(
            model_name="closedaccount",
            constraint=models.UniqueConstraint(
                fields=("statement", "team_id"), name="statements_account_once", nulls_distinct=False
            ),
        ),
        migrations.AddIndex(
            model_name="closedusageline",
            index=models.Index(fields=["principal_id"], name="statements_usage_principal"),
        ),
    ]
