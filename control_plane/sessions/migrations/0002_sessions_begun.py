"""Sessions are counted by adding up; what is known of them is worked out anew."""

from django.db import migrations, models

# Everything is looked at again, and then has its marks.
AGAIN = """
UPDATE conversations_sessionsummary SET moved_at = 'epoch';
UPDATE conversations_sessionwatermark SET through = 'epoch';
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]

    operations = [
        migrations.AddField("sessionday", "begun", models.SmallIntegerField(default=0)),
        migrations.AddField("sessionday", "joined", models.SmallIntegerField(default=0)),
        migrations.RunSQL(AGAIN, migrations.RunSQL.noop),
    ]
