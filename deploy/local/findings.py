"""What the doctor found, and how it is written down."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is. Only problems make `switchyard doctor` fail."""

    FINE = "ok"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was looked at, what was seen, and what mends it."""

    subject: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def fine(subject: str, seen: str) -> Finding:
    return Finding(subject, Verdict.FINE, seen)


def warning(subject: str, seen: str, remedy: str) -> Finding:
    return Finding(subject, Verdict.WARNING, seen, remedy)


def problem(subject: str, seen: str, remedy: str) -> Finding:
    return Finding(subject, Verdict.PROBLEM, seen, remedy)


def table(findings: Sequence[Finding]) -> str:
    """Write one line for each, the remedy below it."""
    width = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"  {finding.verdict.value:<8} {finding.subject:<{width}}  {finding.seen}")
        if finding.remedy:
            lines.append(f"  {'':<8} {'':<{width}}  -> {finding.remedy}")
    return "\n".join(lines)
