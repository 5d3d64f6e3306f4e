"""Rows of sessions that move stay where they are, and rows of the ledger are found by their session without an index.

No index of sessions knows an instant any more, only the hour, or the ten minutes, that it lies in: an update then
touches none of them nearly always. Fresh pages keep room for it.
"""

from django.db import migrations, models
from django.db.models import F, Func

ORIGIN = "'2000-01-01 00:00:00+00'"


def part_of(name: str, length: str) -> models.GeneratedField:
    template = f"date_bin('{length}', %(expressions)s, {ORIGIN})"
    return models.GeneratedField(
        expression=Func(F(name), function="date_bin", template=template),
        output_field=models.DateTimeField(),
        db_persist=True,
    )


def index(name: str, *fields: str) -> migrations.AddIndex:
    return migrations.AddIndex("conversationsession", models.Index(fields=fields, name=name))


class Migration(migrations.Migration):
    dependencies = [("usage", "0017_lighter_booking")]

    operations = [
        migrations.RunSQL(
            "DROP INDEX usage_ledger_session",
            "CREATE INDEX usage_ledger_session ON usage_ledger (organization_id, session_id, exchange_id)"
            " WHERE session_id <> ''",
        ),
        migrations.RemoveIndex("conversationsession", "usage_session_newest"),
        migrations.RemoveIndex("conversationsession", "usage_session_moved"),
        migrations.RemoveIndex("conversationsession", "usage_session_principal"),
        # Before the columns, whose making writes the whole table anew.
        migrations.RunSQL(
            "ALTER TABLE usage_conversationsession SET (fillfactor = 60)",
            "ALTER TABLE usage_conversationsession RESET (fillfactor)",
        ),
        migrations.AddField("conversationsession", "seen_hour", part_of("last_seen", "1 hour")),
        migrations.AddField("conversationsession", "moved_part", part_of("moved_at", "10 minutes")),
        index("usage_session_newest", "organization_id", "-seen_hour"),
        index("usage_session_moved", "moved_part"),
        index("usage_session_principal", "organization_id", "principal_id", "-seen_hour"),
    ]
