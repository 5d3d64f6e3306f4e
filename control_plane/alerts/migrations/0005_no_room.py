"""Work that a budget refused before its line was reached."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_findings")]

    operations = [
        migrations.AddField("stagecrossing", "wanted_nano_usd", models.BigIntegerField(null=True)),
        migrations.AddField("stagecrossing", "reserved_nano_usd", models.BigIntegerField(null=True)),
    ]
