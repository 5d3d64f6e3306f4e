"""What booking a row costs: sums of bigints that stay bigints, and one index of the ledger less.

PostgreSQL sums bigints up as numerics, which costs more than all the rest of a sum. A key has one owner, whose index
answers what is asked of the key.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0016_former_runs")]

    operations = [
        migrations.RunSQL(
            "CREATE AGGREGATE usage_total (bigint)"
            " (SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE)",
            "DROP AGGREGATE usage_total (bigint)",
        ),
        migrations.RunSQL(
            "DROP INDEX usage_ledger_key",
            "CREATE INDEX usage_ledger_key ON usage_ledger (organization_id, key_id, exchange_id)",
        ),
    ]
