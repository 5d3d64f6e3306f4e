"""Which of many key shards holds a key stands beside it."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import control_plane.keys.buckets
from control_plane.keys.buckets import KEY_BUCKETS
from switchyard_contract.virtual_key import bucket_of

BATCH = 2000


def count_buckets(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    model = apps.get_model("keys", "VirtualKey")
    waiting = []
    for key in model.objects.order_by().only("id", "key_id").iterator(chunk_size=BATCH):
        key.bucket = bucket_of(key.key_id, KEY_BUCKETS)
        waiting.append(key)
        if len(waiting) == BATCH:
            model.objects.bulk_update(waiting, ["bucket"])
            waiting.clear()
    model.objects.bulk_update(waiting, ["bucket"])


class Migration(migrations.Migration):
    dependencies = [("keys", "0005_token_scopes")]

    operations = [
        migrations.AddField(
            model_name="virtualkey",
            name="bucket",
            field=control_plane.keys.buckets.BucketField(default=0),
            preserve_default=False,
        ),
        migrations.RunPython(count_buckets, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="virtualkey",
            index=models.Index(fields=["organization", "bucket"], name="keys_by_bucket"),
        ),
    ]
