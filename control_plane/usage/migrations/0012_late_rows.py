"""Rows that count in another month than they began in are few, and statements look for just these."""

from django.db import migrations

ADD = "CREATE INDEX usage_ledger_late ON usage_ledger (organization_id, counted_at) WHERE counted_at <> started_at;"
REMOVE = "DROP INDEX usage_ledger_late;"


class Migration(migrations.Migration):
    dependencies = [("usage", "0011_completeness")]

    operations = [migrations.RunSQL(ADD, REMOVE)]
