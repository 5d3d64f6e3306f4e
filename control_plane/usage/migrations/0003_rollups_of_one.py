"""One person's and one key's usage is found without reading the organization's."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0002_ledger"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="usageday",
            index=models.Index(fields=["organization_id", "principal_id", "day"], name="usage_day_principal"),
        ),
        migrations.AddIndex(
            model_name="usageday",
            index=models.Index(fields=["organization_id", "key_id", "day"], name="usage_day_key"),
        ),
        migrations.AddIndex(
            model_name="usagehour",
            index=models.Index(fields=["organization_id", "principal_id", "hour"], name="usage_hour_principal"),
        ),
        migrations.AddIndex(
            model_name="usagehour",
            index=models.Index(fields=["organization_id", "key_id", "hour"], name="usage_hour_key"),
        ),
    ]
