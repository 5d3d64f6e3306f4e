"""How the audit is searched; the console and the REST API ask alike."""

from django.db.models import Q

FILTER_NAMES = (
    "action",
    "actor",
    "actor_kind",
    "actor_id",
    "source",
    "subject_kind",
    "subject_id",
    "subject",
    "since",
    "until",
    "search",
)


def by_text(text: str) -> Q:
    """Who, what, about what, or why."""
    return (
        Q(subject_name__icontains=text)
        | Q(actor_name__icontains=text)
        | Q(action__icontains=text)
        | Q(reason__icontains=text)
        | Q(subject_id=text)
        | Q(source_address=text)
    )
