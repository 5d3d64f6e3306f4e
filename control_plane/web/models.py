"""What the console itself remembers of a person."""

from uuid import uuid4

from django.db import models

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization


class DismissedNotice(models.Model):
    """A person has read a notice and put it away. What it told of goes on by itself."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    notice = models.CharField(max_length=200)
    """The notice's id (web.notices), which is new when there is something new to say."""
    dismissed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "notice"], name="web_notice_dismissed_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.notice}"
