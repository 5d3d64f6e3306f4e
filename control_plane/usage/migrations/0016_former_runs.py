"""What spools say of their former runs, and which run held an orphan."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0015_pseudonyms")]

    operations = [
        migrations.AddField("podsequence", "run", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("podsequence", "whole_since", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("orphan", "run", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("orphan", "spool", models.CharField(blank=True, db_default="", default="", max_length=32)),
    ]
