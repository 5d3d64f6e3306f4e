"""How far the books are laid into the counter store after a loss."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0002_counter_loss")]

    operations = [
        migrations.AddField("counterloss", "laying_at", models.DateTimeField(null=True)),
        migrations.AddField("counterloss", "floors_of", models.BigIntegerField(default=0)),
        migrations.AddField("counterloss", "floors_laid", models.BigIntegerField(default=0)),
    ]
