"""Tokens of the admin API that may less than their person, and how long they may live."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0004_notices_mailed")]

    operations = [
        migrations.AddField(
            model_name="admintoken",
            name="scopes",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="keyrules",
            name="max_token_days",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
