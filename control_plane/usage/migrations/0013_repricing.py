"""Repricings of past windows."""

from uuid import uuid4

from django.db import migrations, models

STATES = [
    ("computing", "being worked out"),
    ("ready", "worked out"),
    ("applying", "being booked"),
    ("done", "booked"),
    ("stale", "prices changed since"),
    ("dropped", "dropped"),
]


class Migration(migrations.Migration):
    dependencies = [("usage", "0012_late_rows")]

    operations = [
        migrations.CreateModel(
            name="Repricing",
            fields=[
                ("id", models.UUIDField(default=uuid4, editable=False, primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("model_globs", models.JSONField(default=list)),
                ("team_ids", models.JSONField(default=list)),
                ("reason", models.CharField(max_length=500)),
                ("state", models.CharField(choices=STATES, default="computing", max_length=12)),
                ("book_digest", models.UUIDField(null=True)),
                ("cursor_day", models.DateField(null=True)),
                ("cursor_exchange", models.CharField(blank=True, default="", max_length=26)),
                ("seen", models.BigIntegerField(default=0)),
                ("changed", models.BigIntegerField(default=0)),
                ("old_nano_usd", models.BigIntegerField(default=0)),
                ("new_nano_usd", models.BigIntegerField(default=0)),
                ("by_model", models.JSONField(default=dict)),
                ("by_team", models.JSONField(default=dict)),
                ("booked", models.BigIntegerField(default=0)),
                ("booked_nano_usd", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=200)),
                ("applied_at", models.DateTimeField(null=True)),
                ("applied_by", models.CharField(blank=True, default="", max_length=200)),
                ("finished_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["-created_at", "id"],
                "indexes": [models.Index(fields=["organization_id", "-created_at"], name="usage_repricing_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(until__gt=models.F("since")), name="usage_repricing_window"
                    )
                ],
            },
        ),
    ]
