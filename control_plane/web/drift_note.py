"""Whether a policy that comes from code was edited since, for the head of every page about the policy.

To find out means to read everything that a file can hold; so the answer is kept until anything in the organization
changes, which its audit knows.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from redis.exceptions import RedisError

from control_plane.audit.selectors import changes_of
from control_plane.declarative.drift import drift_of
from control_plane.declarative.selectors import policy_code_of
from control_plane.organizations.models import Organization

KEPT_S: Final = 3600


@dataclass(frozen=True, slots=True)
class DriftNote:
    """label: what the policy was applied from. count: objects that were edited since."""

    label: str
    count: int


def drift_note(organization: Organization) -> DriftNote | None:
    """None: the policy does not come from code."""
    code = policy_code_of(organization)
    if code is None:
        return None
    newest = changes_of(organization.id).order_by("-sequence").values_list("sequence", flat=True).first() or 0
    key = f"drift:{organization.id.hex}:{code.applied_at.timestamp()}:{newest}"
    try:
        kept = cache.get(key)
    except RedisError:
        kept = None
    if isinstance(kept, int):
        return DriftNote(code.label, kept)
    found = drift_of(organization)
    if found is None:
        return None
    # Where it cannot be kept, it is worked out again for the next page.
    with suppress(RedisError):
        cache.set(key, len(found.changes), KEPT_S)
    return DriftNote(code.label, len(found.changes))
