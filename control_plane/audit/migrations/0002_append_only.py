"""The database itself refuses to alter, delete or truncate what the audit holds."""

from django.db import migrations

FORBID = """
CREATE FUNCTION audit_change_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_change is append-only: % is not allowed', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_change_no_update BEFORE UPDATE OR DELETE ON audit_change
    FOR EACH ROW EXECUTE FUNCTION audit_change_is_append_only();
CREATE TRIGGER audit_change_no_truncate BEFORE TRUNCATE ON audit_change
    FOR EACH STATEMENT EXECUTE FUNCTION audit_change_is_append_only();
"""
ALLOW = """
DROP TRIGGER audit_change_no_truncate ON audit_change;
DROP TRIGGER audit_change_no_update ON audit_change;
DROP FUNCTION audit_change_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
