"""Signed heads of chains, and finding entries by what was done."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]

    operations = [
        migrations.CreateModel(
            name="PublishedHead",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("scope", models.CharField(max_length=40)),
                ("sequence", models.BigIntegerField()),
                ("hash", models.BinaryField()),
                ("at_ms", models.BigIntegerField()),
                ("signing_key_id", models.CharField(max_length=60)),
                ("signature", models.BinaryField()),
                ("is_filed", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(condition=models.Q(("is_filed", False)), fields=["id"], name="audit_head_unfiled")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("scope", "sequence"), name="audit_published_head_once"),
                    models.CheckConstraint(
                        condition=models.Q(("sequence__gte", 1)), name="audit_published_head_sequence"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="change",
            index=models.Index(fields=["scope", "action", "-sequence"], name="audit_by_action"),
        ),
    ]
