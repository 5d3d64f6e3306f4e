"""Conditions on claims: exact texts, or patterns in which `*` stops at a slash and `**` does not. Pure."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

MOST_CONDITIONS, MOST_PATTERNS, LONGEST_PATTERN = 20, 50, 300
CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}")

SHARED_ISSUERS: Mapping[str, tuple[str, ...]] = {
    "https://token.actions.githubusercontent.com": (
        "sub",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "job_workflow_ref",
        "enterprise",
        "enterprise_id",
    ),
    "https://gitlab.com": ("sub", "project_path", "project_id", "namespace_path", "namespace_id"),
    "https://app.terraform.io": ("sub", "terraform_organization_id", "terraform_organization_name"),
    "https://accounts.google.com": ("sub", "email"),
}
"""Issuers that sign for the whole world, and the claims of which at least one must say whose job it is."""


class WrongConditions(ValueError):
    """A condition that cannot be, or that lets strangers in. claim: which one; empty: all of them."""

    def __init__(self, message: str, claim: str = "") -> None:
        super().__init__(message)
        self.claim = claim


def checked_conditions(conditions: Mapping[str, Any], issuer: str) -> dict[str, list[str]]:
    """Bring conditions into their one form. Raises WrongConditions."""
    if not isinstance(conditions, Mapping) or not conditions:
        raise WrongConditions("At least one claim: without one, every job of this issuer could act as the account.")
    if len(conditions) > MOST_CONDITIONS:
        raise WrongConditions(f"At most {MOST_CONDITIONS} claims.")
    found: dict[str, list[str]] = {}
    for claim, wanted in conditions.items():
        if not isinstance(claim, str) or not CLAIM.fullmatch(claim):
            raise WrongConditions(f"{str(claim)[:40]!r} is no name of a claim.", str(claim)[:40])
        patterns = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(patterns, Sequence) or not 0 < len(patterns) <= MOST_PATTERNS:
            raise WrongConditions(f"{claim}: a text or a list of at most {MOST_PATTERNS}.", claim)
        for pattern in patterns:
            if not isinstance(pattern, str) or not 0 < len(pattern) <= LONGEST_PATTERN or not pattern.isprintable():
                raise WrongConditions(f"{claim}: {str(pattern)[:40]!r} is no text to compare with.", claim)
        found[claim] = list(dict.fromkeys(patterns))
    if not any(all(_begins_plainly(pattern) for pattern in patterns) for patterns in found.values()):
        raise WrongConditions(
            "At least one claim must begin with plain text: a pattern that begins with * fits strangers too."
        )
    naming = SHARED_ISSUERS.get(issuer.rstrip("/"))
    if naming and not any(
        claim in naming and all(_begins_plainly(pattern) for pattern in patterns) for claim, patterns in found.items()
    ):
        raise WrongConditions(
            f"{issuer} signs for everybody who uses it. Say whose jobs are meant by one of: {', '.join(naming)}."
        )
    return found


def unfit_claim(conditions: Mapping[str, Sequence[str]], claims: Mapping[str, Any]) -> str:
    """The first claim that fits none of its patterns; empty when all fit. A claim that is missing fits nothing."""
    for claim, patterns in conditions.items():
        texts = _texts(claims.get(claim))
        if not any(_compiled(pattern).fullmatch(text) for pattern in patterns for text in texts):
            return claim
    return ""


def _texts(value: Any) -> list[str]:
    match value:
        case bool():
            return ["true" if value else "false"]
        case str():
            return [value]
        case int():
            return [str(value)]
        case list():
            return [text for inner in value if not isinstance(inner, list) for text in _texts(inner)]
        case _:
            return []


def _begins_plainly(pattern: str) -> bool:
    return not pattern.startswith(("*", "?"))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    steps = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\*\*+|\*|\?|[^*?]+", pattern)
    return re.compile(
        "".join(steps.get("**" if part.startswith("**") else part, re.escape(part)) for part in parts), re.DOTALL
    )
