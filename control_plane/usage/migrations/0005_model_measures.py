"""What exchanges of public models cost of their worst case, and bytes per token."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_decisions_and_budget_spend")]

    operations = [
        migrations.CreateModel(
            name="ModelDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("vendor", models.CharField(max_length=200)),
                ("model", models.CharField(max_length=200)),
                ("ratio_counts", ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("above_worst", models.BigIntegerField()),
                ("prompts", models.BigIntegerField()),
                ("least_bytes_per_token_milli", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("day", "vendor", "model"), name="usage_model_day_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ModelMeasure",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("vendor", models.CharField(max_length=200)),
                ("model", models.CharField(max_length=200)),
                ("exchanges", models.BigIntegerField()),
                ("above_worst", models.BigIntegerField()),
                ("prompts", models.BigIntegerField()),
                ("found_expected_per_mille", models.IntegerField()),
                ("found_calibrated_per_mille", models.IntegerField()),
                ("found_bytes_per_token_milli", models.IntegerField()),
                ("expected_per_mille", models.IntegerField()),
                ("calibrated_per_mille", models.IntegerField()),
                ("bytes_per_token_milli", models.IntegerField()),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("vendor", "model"), name="usage_model_measure_once")],
            },
        ),
    ]
