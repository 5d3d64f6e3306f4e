"""Answers that are given again when a request is repeated under the same key."""

from django.db import models


class IdempotentAnswer(models.Model):
    """The answer to a POST that carried an Idempotency-Key. Kept for 24 hours.

    Sealed under a key made from the installation's sealing key and the caller's own Idempotency-Key, which is stored
    nowhere: an answer may hold a credential that is shown once.
    """

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField()
    user_id = models.UUIDField()
    key_digest = models.BinaryField()
    request_digest = models.BinaryField()
    """Of method, address and body: another request under the same key is refused."""
    sealing_key_version = models.IntegerField()
    nonce = models.BinaryField()
    sealed = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "user_id", "key_digest"], name="rest_idempotent_answer_once"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="rest_idempotent_answer_age")]

    def __str__(self) -> str:
        return f"answer of {self.created_at}"
