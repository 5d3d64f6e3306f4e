"""What was billed by another model's price is found at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0013_repricing")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX usage_ledger_price_note ON usage_ledger (organization_id, started_at) WHERE price_note <> ''",
            "DROP INDEX usage_ledger_price_note",
        )
    ]
