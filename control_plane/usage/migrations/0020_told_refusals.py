"""What a refused caller was told may name the person: it may go where the names go, and nothing comes in its place."""

from importlib import import_module

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
    ) AND (NEW.error_text = OLD.error_text OR (NEW.error_text = '' AND OLD.reason <> ''))
    AND to_jsonb(NEW) - ARRAY['principal_id', 'key_id', 'decision', 'rules_digest', 'error_text']
        = to_jsonb(OLD) - ARRAY['principal_id', 'key_id', 'decision', 'rules_digest', 'error_text']
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only: write a reversal instead';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0019_peak_hours")]

    operations = [
        migrations.RunSQL(ALLOW, import_module("control_plane.usage.migrations.0015_pseudonyms").ALLOW),
    ]
