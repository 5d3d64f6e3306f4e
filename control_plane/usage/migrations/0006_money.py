"""What an exchange saved, at which stage and by whom of a session it was made, what was billed besides tokens."""

from django.db import migrations, models

from control_plane.usage import entries

KINDS = ("orphan_estimated", "estimated", "counted", "final", "adjustment", "reversal")

ADD = """
ALTER TABLE usage_ledger
    ADD COLUMN counted_at timestamptz,
    ADD COLUMN stage text NOT NULL DEFAULT '',
    ADD COLUMN agent text NOT NULL DEFAULT '',
    ADD COLUMN saved_cache_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN saved_downgrade_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN extras jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN facts bytea,
    ADD COLUMN price_note text NOT NULL DEFAULT '',
    DROP CONSTRAINT usage_ledger_kind_check,
    ADD CONSTRAINT usage_ledger_kind_check CHECK
        (kind IN ('final', 'counted', 'estimated', 'orphan_estimated', 'reversal', 'adjustment')),
    DROP CONSTRAINT usage_ledger_check,
    ADD CONSTRAINT usage_ledger_check CHECK (kind IN ('reversal', 'adjustment')
        OR (cost_nano_usd >= 0 AND input_fresh >= 0 AND cache_read >= 0 AND output >= 0));
ALTER TABLE usage_ledger DISABLE TRIGGER usage_ledger_append_only;
UPDATE usage_ledger SET
    counted_at = started_at,
    agent = CASE WHEN session_id = '' THEN '' WHEN agent_id <> '' OR parent_session_id <> '' THEN 'subagent'
        ELSE 'main' END;
ALTER TABLE usage_ledger ENABLE TRIGGER usage_ledger_append_only;
ALTER TABLE usage_ledger ALTER COLUMN counted_at SET NOT NULL;
"""

REMOVE = """
ALTER TABLE usage_ledger
    DROP COLUMN counted_at, DROP COLUMN stage, DROP COLUMN agent, DROP COLUMN saved_cache_nano_usd,
    DROP COLUMN saved_downgrade_nano_usd, DROP COLUMN extras, DROP COLUMN facts, DROP COLUMN price_note;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_model_measures")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD, REMOVE)],
            state_operations=[
                migrations.AlterField(
                    "ledgerentry", "kind", models.CharField(max_length=16, choices=[(k, k) for k in KINDS])
                ),
                *(
                    migrations.AddField("ledgerentry", name, field, preserve_default=False)
                    for name, field in (
                        ("counted_at", models.DateTimeField(default=entries.EPOCH)),
                        ("stage", models.CharField(max_length=16, default="")),
                        ("agent", models.CharField(max_length=16, default="")),
                        ("saved_cache_nano_usd", models.BigIntegerField(default=0)),
                        ("saved_downgrade_nano_usd", models.BigIntegerField(default=0)),
                        ("extras", models.JSONField(default=dict)),
                        ("facts", models.BinaryField(null=True)),
                        ("price_note", models.CharField(max_length=16, default="")),
                    )
                ),
            ],
        )
    ]
