"""What is to be done after the counter store lost its contents."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="CounterLoss",
            fields=[
                ("organization_id", models.UUIDField(primary_key=True, serialize=False)),
                ("generation", models.BigIntegerField()),
                ("reported_at", models.DateTimeField()),
                ("told_at", models.DateTimeField(null=True)),
            ],
            options={"ordering": ["reported_at"]},
        ),
    ]
