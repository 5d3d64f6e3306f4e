"""Which of many key shards holds a key: kept with the key, so that one shard's keys are read and no others."""

from typing import Any

from django.db import models

from switchyard_contract.virtual_key import bucket_of

KEY_BUCKETS = 16
"""How many key shards an organization has once its keys spread. Another number needs a migration that counts anew."""


class BucketField(models.PositiveSmallIntegerField):
    """Filled in from the key's public id whenever a key is written, one by one or many at once."""

    def __init__(self, **options: Any) -> None:
        # Blank: nobody fills it in, also not before the key's facts are checked as a whole.
        options |= {"editable": False, "blank": True}
        super().__init__(**options)

    def pre_save(self, model_instance: models.Model, add: bool) -> int:
        bucket = bucket_of(str(model_instance.serializable_value("key_id")), KEY_BUCKETS)
        setattr(model_instance, self.attname, bucket)
        return bucket
