"""What may stand in a key's scope: model globs, routes, source networks. Checked once, stored in one form."""

import re
from collections.abc import Sequence
from ipaddress import ip_network

from django.core.exceptions import ValidationError

from switchyard_contract.routes import ROUTES

MAX_GLOBS = 200
MAX_GLOB_LENGTH = 200
MAX_NETWORKS = 100
NOTHING = ("",)
"""A list of models that no request fits: a request always names one."""


def checked_globs(globs: Sequence[str], field: str = "models") -> list[str]:
    """Model names and globs without repetitions; raises ValidationError with every problem."""
    problems: list[str] = []
    if isinstance(globs, str) or len(globs) > MAX_GLOBS:
        problems.append(f"A list of at most {MAX_GLOBS} model names or globs.")
    else:
        for glob in globs:
            if not isinstance(glob, str) or not 0 < len(glob.strip()) <= MAX_GLOB_LENGTH or "\x00" in glob:
                problems.append(f"{str(glob)[:40]!r} is no model name or glob of at most {MAX_GLOB_LENGTH} characters.")
    if problems:
        raise ValidationError({field: problems})
    return list(dict.fromkeys(glob.strip() for glob in globs))


def checked_routes(routes: Sequence[str]) -> list[str]:
    """Protocols in the contract's order; none: all."""
    unknown = [str(route)[:40] for route in routes if route not in ROUTES]
    if unknown:
        names = ", ".join(ROUTES)
        raise ValidationError({"routes": [f"{each!r} is no route; there are {names}." for each in unknown]})
    return [route for route in ROUTES if route in routes]


def checked_networks(networks: Sequence[str]) -> list[str]:
    """CIDRs as the standard library writes them; a single address is a network of one."""
    if isinstance(networks, str) or len(networks) > MAX_NETWORKS:
        raise ValidationError({"source_networks": f"A list of at most {MAX_NETWORKS} networks like 10.0.0.0/8."})
    problems, found = [], []
    for text in networks:
        try:
            found.append(str(ip_network(str(text).strip())))
        except ValueError as failure:
            problems.append(
                f"{str(text)[:40]!r} is no network: {failure}. Right: 10.0.0.0/8, 203.0.113.7, 2001:db8::/32."
            )
    if problems:
        raise ValidationError({"source_networks": problems})
    return list(dict.fromkeys(found))


def is_within(glob: str, limits: Sequence[str]) -> bool:
    """Whether everything this glob takes in is taken in by one of the limits.

    Sound, not complete: two limits that only together cover a glob do not count.
    """
    return any(_cover(limit).fullmatch(glob) is not None for limit in limits)


def intersect(globs: Sequence[str], limits: Sequence[str]) -> list[str]:
    """What both lists allow, an empty one being everything; `NOTHING` where they have nothing in common."""
    if not limits:
        return list(globs)
    if not globs:
        return list(limits)
    narrowed = [glob for glob in globs if is_within(glob, limits)]
    narrowed += [limit for limit in limits if is_within(limit, globs)]
    return list(dict.fromkeys(narrowed)) or list(NOTHING)


def _cover(limit: str) -> re.Pattern[str]:
    # A ? of the limit stands for one character, so it must not swallow a * of the glob.
    parts = (".*" if sign == "*" else "[^*]" if sign == "?" else re.escape(sign) for sign in limit)
    return re.compile("".join(parts), re.DOTALL)
