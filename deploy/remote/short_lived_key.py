"""`switchyard key helper`: a short-lived key on standard output, and nothing else there.

Coding tools call it every few minutes (Claude Code's apiKeyHelper, Codex's auth command). One key per machine, tool
and sign-in is kept in a private file and given out until shortly before its end; then a new one is minted, and the old
one expires by itself. The path from that file imports nothing slow.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.remote.logins import Place, find_place
from deploy.remote.own_files import locked, needed_folder, read_private, write_private
from deploy.remote.refused import Refused

LIFETIME_S = 3600
SHORTEST_S, LONGEST_S = 900, 12 * 3600
MOST_MARGIN_S = 600
"""A tool asks every five minutes: what it was given last must outlive that."""
ASKED_AGAIN_AFTER_S = 300
ASKING_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """For which tool, charged to which team (empty: the only one), living how long."""

    tool: str = "any tool"
    team: str = ""
    lifetime_s: int = LIFETIME_S


@dataclass(frozen=True, slots=True)
class Kept:
    """A key that was minted before. Times are Unix seconds; checked_at_s: when the console last said it is alive."""

    key: str = field(repr=False)
    id: str
    expires_at_s: float
    lifetime_s: float
    checked_at_s: float

    def is_fresh(self, now_s: float) -> bool:
        return now_s < self.expires_at_s - min(MOST_MARGIN_S, self.lifetime_s / 4)

    def is_alive(self, now_s: float) -> bool:
        return now_s < self.expires_at_s - 5


def main(argv: Sequence[str]) -> int:
    """Print a key; 1 with a sentence on standard error when there is none to print."""
    try:
        url, wanted = _read_arguments(list(argv))
        key = helper_key(find_place(os.environ, url), wanted, os.environ)
    except Refused as failure:
        print(f"switchyard key helper: {failure}", file=sys.stderr)
        return 1
    print(key)
    return 0


def helper_key(place: Place, wanted: Wanted, environment: Mapping[str, str]) -> str:
    """A key in force. Raises Refused."""
    path = _path(place, wanted, environment)
    kept = _read(path)
    if kept is not None and _may_be_given(kept):
        return kept.key
    with locked(path.with_suffix(".lock")):
        # Whoever held the lock before may have done it already.
        kept = _read(path)
        now_s = time.time()
        if kept is not None and kept.is_fresh(now_s):
            if _may_be_given(kept):
                return kept.key
            kept = _checked(kept, place, path)
            if kept is not None:
                return kept.key
        try:
            minted = _mint(place, wanted)
        except Refused as failure:
            # The console is out of reach and the old key still works: the tool should not notice.
            if failure.is_out_of_reach and kept is not None and kept.is_alive(time.time()):
                return kept.key
            raise
        _keep(path, minted)
        return minted.key


def kept_key(place: Place, wanted: Wanted, environment: Mapping[str, str]) -> str | None:
    """The key that was given out last, while it is alive; asks nobody. Raises Refused when its file cannot be read."""
    kept = _read(_path(place, wanted, environment))
    return kept.key if kept is not None and kept.is_alive(time.time()) else None


def _may_be_given(kept: Kept) -> bool:
    now_s = time.time()
    return kept.is_fresh(now_s) and 0 <= now_s - kept.checked_at_s < ASKED_AGAIN_AFTER_S


def _checked(kept: Kept, place: Place, path: Path) -> Kept | None:
    """Ask whether a kept key is still in force; None when it is not, so that a revoked one is not given out again."""
    try:
        facts = place.api().call("GET", f"keys/{kept.id}", timeout_s=ASKING_LIMIT_S)
    except Refused as failure:
        if failure.status in (401, 403, 404):
            return None
        return kept
    if not isinstance(facts, dict) or facts.get("state") != "active":
        return None
    renewed = Kept(kept.key, kept.id, kept.expires_at_s, kept.lifetime_s, time.time())
    _keep(path, renewed)
    return renewed


def _mint(place: Place, wanted: Wanted) -> Kept:
    from datetime import UTC, datetime

    from deploy.remote.machine import machine_name

    now_s = time.time()
    expires_at = datetime.fromtimestamp(now_s + wanted.lifetime_s, UTC)
    body: dict[str, object] = {
        "name": f"{wanted.tool} on {machine_name()}"[:100],
        "expires_at": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if wanted.team:
        body["team"] = wanted.team
    try:
        # The answer comes when the pods know the key, so that the tool's next request is not its first refusal.
        answer = place.api().call("POST", "keys?wait=applied", body)
    except Refused as failure:
        if failure.status == 401:
            raise Refused(
                f"the sign-in at {place.url} is no longer valid. Run: switchyard login --url {place.url}", status=401
            ) from failure
        if "team" in str(failure) and not wanted.team:
            raise Refused(f"{failure} (--team NAME)", status=failure.status) from failure
        raise
    try:
        return Kept(str(answer["key"]), str(answer["id"]), int(expires_at.timestamp()), wanted.lifetime_s, time.time())
    except (KeyError, TypeError) as failure:
        raise Refused(f"{place.url} did not answer as a Switchyard console does") from failure


def _path(place: Place, wanted: Wanted, environment: Mapping[str, str]) -> Path:
    from hashlib import sha256

    # The token is part of it: another sign-in is another person, perhaps.
    named = "\x00".join([place.url, place.token, wanted.tool, wanted.team, str(wanted.lifetime_s)])
    return needed_folder(environment) / "keys" / f"{sha256(named.encode()).hexdigest()[:32]}.txt"


def _read(path: Path) -> Kept | None:
    text = read_private(path)
    if text is None:
        return None
    try:
        # Lines rather than JSON: the json module is slower to load than all of this is to run.
        key, key_id, expires_at_s, lifetime_s, checked_at_s = text.splitlines()
        return Kept(key, key_id, float(expires_at_s), float(lifetime_s), float(checked_at_s))
    except ValueError:
        # Damaged: the next one takes its place.
        return None


def _keep(path: Path, kept: Kept) -> None:
    rows = (kept.key, kept.id, kept.expires_at_s, kept.lifetime_s, kept.checked_at_s)
    write_private(path, "".join(f"{row}\n" for row in rows))


def _read_arguments(argv: list[str]) -> tuple[str | None, Wanted]:
    # The whole parser costs as much as a look into the cache; it is needed only for --help and for mistakes.
    values: dict[str, str] = {}
    names = {"--tool", "--team", "--url", "--lifetime"}
    rest = list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in names or (not equals and not rest):
            _explain(argv)
        values[name] = value if equals else rest.pop(0)
    lifetime = values.get("--lifetime", str(LIFETIME_S))
    if not lifetime.isdigit() or not SHORTEST_S <= int(lifetime) <= LONGEST_S:
        raise Refused(f"--lifetime: seconds, from {SHORTEST_S} to {LONGEST_S}")
    wanted = Wanted(values.get("--tool", "any tool")[:40], values.get("--team", ""), int(lifetime))
    return values.get("--url"), wanted


def _explain(argv: Sequence[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser(
        prog="switchyard key helper", description="Print a short-lived key, for a coding tool to call."
    )
    parser.add_argument("--tool", help="which tool asks; each has a key of its own")
    parser.add_argument("--team", help="the team that is charged, where there are several")
    parser.add_argument("--url", help="the console's address (default: SWITCHYARD_URL, else the last sign-in)")
    parser.add_argument("--lifetime", help=f"seconds a key lives, {SHORTEST_S} to {LONGEST_S}; default {LIFETIME_S}")
    parser.parse_args(argv)
    raise Refused("these arguments are not understood; see --help")
