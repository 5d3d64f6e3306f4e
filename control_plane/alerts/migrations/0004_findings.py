"""What is found without a budget's line: unusual spend, usage that is missing; and which channels hear of it."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_forecasts_told")]

    operations = [
        migrations.AddField("alertchannel", "hears", models.JSONField(blank=True, default=list)),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("topic", models.CharField(max_length=20)),
                ("about", models.CharField(max_length=64)),
                ("principal_id", models.UUIDField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("facts", models.JSONField()),
                ("found_at", models.DateTimeField()),
                ("dispatched_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("dispatched_at__isnull", True)),
                        fields=["found_at"],
                        name="alerts_finding_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "topic", "about"), name="alerts_finding_once")
                ],
            },
        ),
        migrations.AddField(
            "delivery",
            "finding",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="alerts.finding",
            ),
        ),
        migrations.AddConstraint(
            "delivery",
            models.UniqueConstraint(fields=("finding", "recipient"), name="alerts_delivery_of_finding_once"),
        ),
    ]
