"""Corrections of money by people."""

from uuid import uuid4

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_moved_sessions")]

    operations = [
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                ("id", models.UUIDField(default=uuid4, editable=False, primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("exchange_id", models.CharField(max_length=26, unique=True)),
                ("cost_nano_usd", models.BigIntegerField()),
                ("team_id", models.UUIDField(null=True)),
                ("principal_id", models.UUIDField(null=True)),
                ("principal_kind", models.CharField(max_length=16)),
                ("note", models.CharField(max_length=500)),
                ("counted_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=200)),
            ],
            options={
                "ordering": ["-counted_at", "id"],
                "indexes": [models.Index(fields=["organization_id", "-counted_at"], name="usage_adjustment_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("cost_nano_usd", 0), _negated=True), name="usage_adjustment_is_some"
                    )
                ],
            },
        ),
    ]
