"""Indexes for searching long chains."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_published_heads")]

    operations = [
        migrations.AddIndex(
            model_name="change",
            index=models.Index(
                fields=["scope", "subject_kind", "subject_id", "-sequence"], name="audit_by_subject_kind"
            ),
        ),
        migrations.AddIndex(
            model_name="change",
            index=models.Index(fields=["scope", "source_address", "-sequence"], name="audit_by_source"),
        ),
        migrations.AddIndex(
            model_name="change",
            index=models.Index(fields=["scope", "at"], name="audit_by_scope_time"),
        ),
    ]
