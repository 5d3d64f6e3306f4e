"""Which pods a join token is for."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0006_buckets")]

    operations = [
        migrations.AddField(
            model_name="podtoken",
            name="pods",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=200), blank=True, default=list, size=None
            ),
        ),
    ]
