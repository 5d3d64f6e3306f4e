"""How many exchanges ran at once, by hours."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0018_sessions_stay_in_place")]

    operations = [
        migrations.CreateModel(
            name="PeakHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "hour",
                        "whose",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organization_id", models.UUIDField()),
                ("hour", models.DateTimeField()),
                ("whose", models.CharField(max_length=12)),
                ("peak", models.IntegerField()),
            ],
            options={"indexes": [models.Index(fields=["hour"], name="usage_peak_age")]},
        ),
    ]
