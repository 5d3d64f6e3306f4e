"""The ledger lets a person's names be replaced while that is going on, and nothing else."""

from django.db import migrations

ALLOW = """
CREATE OR REPLACE FUNCTION usage_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A name for a name, in a transaction that says so, and every amount as it was.
    IF TG_OP = 'UPDATE' AND EXISTS (
        SELECT FROM usage_pseudonym AS pseudonym
        WHERE pseudonym.organization_id = OLD.organization_id AND pseudonym.finished_at IS NULL
        AND OLD.principal_id IN (pseudonym.principal_id, pseudonym.id) AND NEW.principal_id = pseudonym.id
        AND NEW.key_id = COALESCE(pseudonym.key_names ->> OLD.key_id, OLD.key_id)
    ) AND to_jsonb(NEW) - ARRAY['principal_id', 'key_id', 'decision', 'rules_digest']
        = to_jsonb(OLD) - ARRAY['principal_id', 'key_id', 'decision', 'rules_digest']
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only: write a reversal instead';
END
$$;
"""
REFUSE = """
CREATE OR REPLACE FUNCTION usage_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: write a reversal instead';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0014_unpriced")]

    operations = [migrations.RunSQL(ALLOW, REFUSE)]
