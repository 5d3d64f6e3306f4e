"""Changes of policy as flags on charts: what may explain a step in the numbers."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from control_plane.audit.selectors import changes_of
from control_plane.dashboards.charts import Chart, flagged
from control_plane.organizations.roles import Permission, can
from control_plane.web.ranges import TimeRange
from control_plane.web.request import ConsoleRequest

POLICY_SUBJECTS = ("provider", "virtual_model", "organization")
MOST = 200


def with_flags(request: ConsoleRequest, chart: Chart, span: TimeRange) -> Chart:
    """Add the changes of policy in a range; for those who may read the audit."""
    if not can(request.standing, Permission.AUDIT_READ):
        return chart
    return flagged(chart, _changes(request, span), many=reverse("web:audit"))


def _changes(request: ConsoleRequest, span: TimeRange) -> Iterator[tuple[datetime, str, str]]:
    found = changes_of(request.organization.id).filter(
        subject_kind__in=POLICY_SUBJECTS, at__gte=span.since, at__lt=span.until
    )
    for change in found[:MOST]:
        yield change.at, f"{change.action}: {change.subject_name}", reverse("web:change", args=[change.sequence])
