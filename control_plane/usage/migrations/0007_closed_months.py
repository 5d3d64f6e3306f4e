"""Months whose sums no longer change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_money")]

    operations = [
        migrations.CreateModel(
            name="ClosedMonth",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("month", models.DateField()),
                ("closed_at", models.DateTimeField()),
                ("closed_by", models.CharField(max_length=200)),
            ],
            options={
                "ordering": ["organization_id", "month"],
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "month"), name="usage_closed_month_once"),
                    models.CheckConstraint(condition=models.Q(("month__day", 1)), name="usage_closed_month_is_a_month"),
                ],
            },
        ),
    ]
