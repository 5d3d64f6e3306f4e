"""Settings, summaries, days and findings of sessions, and up to where they were looked at."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import control_plane.sessions.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("organizations", "0004_budget_status_and_generation"),
        ("usage", "0008_moved_sessions"),
    ]

    operations = [
        migrations.CreateModel(
            name="SessionSettings",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="session_settings",
                        serialize=False,
                        to="organizations.organization",
                    ),
                ),
                ("least_cache_share_per_mille", models.PositiveSmallIntegerField(default=300)),
                (
                    "repository_keys",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        default=control_plane.sessions.models.repository_keys,
                        size=None,
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("least_cache_share_per_mille__lte", 1000)),
                        name="conversations_share_is_a_share",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SessionSummary",
            fields=[
                ("turns", models.BigIntegerField(default=0)),
                ("asides", models.BigIntegerField(default=0)),
                ("typed", models.BigIntegerField(default=0)),
                ("prompt_tokens", models.BigIntegerField(default=0)),
                ("cache_read_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("cost_nano_usd", models.BigIntegerField(default=0)),
                ("saved_cache_nano_usd", models.BigIntegerField(default=0)),
                ("tool_results", models.BigIntegerField(default=0)),
                ("failed_tool_results", models.BigIntegerField(default=0)),
                ("repeats", models.BigIntegerField(default=0)),
                ("gateway_retries", models.BigIntegerField(default=0)),
                ("aborts", models.BigIntegerField(default=0)),
                ("errors", models.BigIntegerField(default=0)),
                ("compactions", models.BigIntegerField(default=0)),
                ("model_changes", models.BigIntegerField(default=0)),
                ("failovers", models.BigIntegerField(default=0)),
                ("tool_ms", models.BigIntegerField(default=0)),
                ("person_ms", models.BigIntegerField(default=0)),
                ("model_ms", models.BigIntegerField(default=0)),
                ("cold_nano_usd", models.BigIntegerField(default=0)),
                ("broken_nano_usd", models.BigIntegerField(default=0)),
                ("moved_nano_usd", models.BigIntegerField(default=0)),
                ("uncached_nano_usd", models.BigIntegerField(default=0)),
                ("loop_nano_usd", models.BigIntegerField(default=0)),
                ("avoidable_nano_usd", models.BigIntegerField(default=0)),
                ("unavoidable_nano_usd", models.BigIntegerField(default=0)),
                ("stop_reasons", models.JSONField(default=dict)),
                (
                    "session",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="summary",
                        serialize=False,
                        to="usage.conversationsession",
                    ),
                ),
                ("organization_id", models.UUIDField()),
                ("principal_id", models.UUIDField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("client", models.CharField(max_length=200)),
                ("repository", models.CharField(blank=True, max_length=200)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("agents", models.IntegerField(default=0)),
                ("most_context", models.BigIntegerField(default=0)),
                ("cache_share_per_mille", models.IntegerField(default=0)),
                ("share_cause", models.CharField(blank=True, max_length=32)),
                (
                    "finding_kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), default=list, size=None
                    ),
                ),
                ("is_partial", models.BooleanField(default=False)),
                ("moved_at", models.DateTimeField()),
                ("analysed_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization_id", "-last_seen"], name="conversations_newest"),
                    models.Index(fields=["organization_id", "-avoidable_nano_usd"], name="conversations_avoidable"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SessionWatermark",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("through", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="conversations_one_watermark")
                ],
            },
        ),
        migrations.CreateModel(
            name="SessionDay",
            fields=[
                ("turns", models.BigIntegerField(default=0)),
                ("asides", models.BigIntegerField(default=0)),
                ("typed", models.BigIntegerField(default=0)),
                ("prompt_tokens", models.BigIntegerField(default=0)),
                ("cache_read_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("cost_nano_usd", models.BigIntegerField(default=0)),
                ("saved_cache_nano_usd", models.BigIntegerField(default=0)),
                ("tool_results", models.BigIntegerField(default=0)),
                ("failed_tool_results", models.BigIntegerField(default=0)),
                ("repeats", models.BigIntegerField(default=0)),
                ("gateway_retries", models.BigIntegerField(default=0)),
                ("aborts", models.BigIntegerField(default=0)),
                ("errors", models.BigIntegerField(default=0)),
                ("compactions", models.BigIntegerField(default=0)),
                ("model_changes", models.BigIntegerField(default=0)),
                ("failovers", models.BigIntegerField(default=0)),
                ("tool_ms", models.BigIntegerField(default=0)),
                ("person_ms", models.BigIntegerField(default=0)),
                ("model_ms", models.BigIntegerField(default=0)),
                ("cold_nano_usd", models.BigIntegerField(default=0)),
                ("broken_nano_usd", models.BigIntegerField(default=0)),
                ("moved_nano_usd", models.BigIntegerField(default=0)),
                ("uncached_nano_usd", models.BigIntegerField(default=0)),
                ("loop_nano_usd", models.BigIntegerField(default=0)),
                ("avoidable_nano_usd", models.BigIntegerField(default=0)),
                ("unavoidable_nano_usd", models.BigIntegerField(default=0)),
                ("stop_reasons", models.JSONField(default=dict)),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("principal_id", models.UUIDField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("client", models.CharField(max_length=200)),
                ("repository", models.CharField(blank=True, max_length=200)),
                ("day", models.DateField()),
                ("model", models.CharField(max_length=200)),
                ("provider_id", models.UUIDField(null=True)),
                ("provider_name", models.CharField(max_length=200)),
                (
                    "session",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="usage.conversationsession",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization_id", "day"], name="conversations_day"),
                    models.Index(fields=["organization_id", "principal_id", "day"], name="conversations_day_principal"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SessionFinding",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("principal_id", models.UUIDField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("kind", models.CharField(max_length=32)),
                ("cause", models.CharField(max_length=32)),
                ("is_avoidable", models.BooleanField()),
                ("agent_id", models.CharField(blank=True, max_length=200)),
                ("turn", models.IntegerField()),
                ("exchange_id", models.CharField(max_length=26)),
                ("at", models.DateTimeField()),
                ("money_nano_usd", models.BigIntegerField()),
                ("lost_tokens", models.BigIntegerField()),
                ("detail", models.JSONField(default=dict)),
                (
                    "session",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="findings",
                        to="usage.conversationsession",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["organization_id", "-at"], name="conversations_finding_newest")],
            },
        ),
    ]
