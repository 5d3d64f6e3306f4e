"""The version of an organization's policy: the newest change of its audit that is one of policy.

It is read from the audit itself, so it is right at once, also for a change whose revision is still being written.
"""

from uuid import UUID

from control_plane.audit.selectors import changes_of
from control_plane.declarative.kinds.catalog import tracked_subjects


def policy_version(organization_id: UUID) -> int:
    """0: nothing was ever changed."""
    newest = changes_of(organization_id).filter(subject_kind__in=tracked_subjects()).values_list("sequence", flat=True)
    return newest.first() or 0


def etag_of_policy(version: int) -> str:
    return f'"policy-{version}"'
