"""When a session's sums last moved, so that what is worked out from its rows can follow."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("usage", "0007_closed_months")]

    operations = [
        migrations.AddField("conversationsession", "moved_at", models.DateTimeField(db_default=Now())),
        migrations.AddIndex("conversationsession", models.Index(fields=["moved_at"], name="usage_session_moved")),
    ]
