"""An index gets a name that Django takes on every database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("statements", "0001_closed_statements")]

    operations = [
        migrations.RunSQL(
            "ALTER INDEX statements_correction_principal RENAME TO statements_correction_person",
            "ALTER INDEX statements_correction_person RENAME TO statements_correction_principal",
            state_operations=[
                migrations.RenameIndex(
                    "closedcorrection",
                    old_name="statements_correction_principal",
                    new_name="statements_correction_person",
                )
            ],
        )
    ]
