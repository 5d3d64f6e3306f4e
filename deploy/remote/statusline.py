"""`switchyard statusline`: one line for Claude Code's status bar - what is left, which model really answers, the stage.

The tool starts this command over and over and shows what it prints, so it answers within a second whatever happens,
never fails, and asks the gateway once in a few seconds at most. Console: docs/how-to/status-line.md.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.remote.own_files import needed_folder, read_private, write_private
from deploy.remote.refused import Refused

FRESH_S = 5.0
"""The gateway is not asked again for so long, nor after it did not answer."""
LIMIT_S = 1.0
_STALE_S = 30.0
_KEPT_S = 2 * 24 * 3600.0
_LONGEST_INPUT = 1024 * 1024
_TRANSCRIPT_TAIL = 256 * 1024
_LARGEST_ANSWER = 4 * 1024 * 1024
_LONGEST_NAME = 60
_COLOURS = {"": "32", "alert": "33", "downgrade": "33", "block": "31"}


@dataclass(frozen=True, slots=True)
class Options:
    """gateway: its address, empty: the one the tool uses. console: where the tool's helper gets keys; empty: the tool
    has its key in the environment. tool, team: as `switchyard key helper` is called for it."""

    gateway: str = ""
    console: str = ""
    tool: str = "claude-code"
    team: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The tightest of the key's budgets. Amounts in dollars; resets_at_s: Unix seconds, 0: never."""

    name: str
    left_usd: float
    limit_usd: float
    percent: int
    period: str
    stage: str
    resets_at_s: float


@dataclass(frozen=True, slots=True)
class Known:
    """What the gateway said when it was last asked. at_s: Unix seconds; budget None: no budget is about this key.

    trouble: why there is nothing newer, for people; empty: there is.
    """

    at_s: float
    asked_at_s: float
    budget: Budget | None = None
    has_standing: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the tool says on standard input."""

    session: str = ""
    model: str = ""
    model_name: str = ""
    answered_by: str = ""
    """The model of the newest answer, as the provider named it; empty: none yet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the line. Always succeeds: a status bar is no place for an error."""
    try:
        line = status_line(sys.stdin.read(_LONGEST_INPUT), _options(list(argv or ())), os.environ, time.time())
    except Exception as failure:  # A process edge: whatever broke, the tool goes on and the person sees that it did.
        line = f"Switchyard: {type(failure).__name__}"
    # Whatever the console's encoding cannot show is left out rather than raised.
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding))
    return 0


def status_line(said: str, options: Options, environment: Mapping[str, str], now_s: float) -> str:
    """The line for what the tool said."""
    told = read_told(said)
    return word(told, ask(options, told, environment, now_s), now_s, colours="NO_COLOR" not in environment)


def read_told(said: str) -> Told:
    """Read what the tool says; what is missing or odd is empty."""
    try:
        facts = json.loads(said)
    except (ValueError, RecursionError):
        return Told()
    if not isinstance(facts, dict):
        return Told()
    model = facts.get("model")
    model = model if isinstance(model, dict) else {}
    return Told(
        session=_text(facts.get("session_id")),
        model=_text(model.get("id")),
        model_name=_text(model.get("display_name")),
        answered_by=_answered_by(_text(facts.get("transcript_path"), 4096)),
    )


def ask(options: Options, told: Told, environment: Mapping[str, str], now_s: float) -> Known:
    """What the gateway says, from the file if it was asked a moment ago."""
    try:
        place = _place(options, environment)
        named = "\x00".join([place.gateway, place.key, told.model, told.session])
        path = needed_folder(environment) / "status" / f"{sha256(named.encode()).hexdigest()[:32]}.json"
    except Refused as failure:
        return Known(now_s, now_s, trouble=str(failure))
    kept = _read(path)
    if kept is not None and 0 <= now_s - kept.asked_at_s < FRESH_S:
        return kept
    known = _fetch(place, told, now_s)
    if known.trouble and kept is not None and kept.has_standing:
        # What was true a moment ago is better than nothing.
        known = Known(kept.at_s, now_s, kept.budget, True, known.trouble)
    if kept is None:
        _forget_old(path.parent, now_s)
    _keep(path, known)
    return known


def word(told: Told, known: Known, now_s: float, *, colours: bool) -> str:
    """Put it into one line."""
    parts = [_budget_words(known, now_s)]
    model = told.answered_by or told.model
    if told.answered_by and told.model and not _is_same(told.answered_by, told.model):
        parts.append(f"{told.answered_by} for {told.model_name or told.model}")
    elif model:
        parts.append(told.model_name if told.model_name and not told.answered_by else model)
    stage = known.budget.stage if known.budget is not None else ""
    if stage:
        parts.append(_STAGES.get(stage, stage))
    line = " · ".join(part for part in parts if part)
    return f"\033[{_COLOURS.get(stage, '33')}m{line}\033[0m" if colours and known.budget is not None else line


_STAGES = {"alert": "running low", "downgrade": "cheaper models", "block": "spent"}


def _budget_words(known: Known, now_s: float) -> str:
    if not known.has_standing:
        return f"Switchyard: {known.trouble}" if known.trouble else "Switchyard"
    if known.budget is None:
        return "Switchyard: no budget"
    budget = known.budget
    period = f" a {budget.period}" if budget.period not in ("", "lifetime", "session") else ""
    said = f"{_money(max(budget.left_usd, 0.0))} of {_money(budget.limit_usd)}{period} left ({budget.name})"
    if budget.stage == "block" and budget.resets_at_s > now_s:
        said += f", anew {_moment(budget.resets_at_s, now_s)}"
    age_s = now_s - known.at_s
    return f"{said}, {_age(age_s)} ago" if known.trouble and age_s > _STALE_S else said


def _money(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _moment(at_s: float, now_s: float) -> str:
    # The person's own clock: this is a status bar on their machine.
    return time.strftime("%H:%M" if at_s - now_s < 20 * 3600 else "%d %b %H:%M", time.localtime(at_s))


def _is_same(answered: str, asked: str) -> bool:
    """Whether the model that answered is the one that was asked for, its date and the context's size apart."""
    plain = asked.partition("[")[0].rpartition("/")[2]
    return answered.startswith(plain) or plain.startswith(answered)


def _answered_by(transcript: str) -> str:
    """The model that the newest answer names, from the end of the session's own file."""
    if not transcript:
        return ""
    try:
        with Path(transcript).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TRANSCRIPT_TAIL, 0))
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        if b'"assistant"' not in line:
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        message = entry.get("message") if isinstance(entry, dict) else None
        model = _text(message.get("model")) if isinstance(message, dict) and entry.get("type") == "assistant" else ""
        # Claude Code writes errors as answers of a model of this name.
        if model and model != "<synthetic>":
            return model
    return ""


@dataclass(frozen=True, slots=True)
class _Place:
    gateway: str
    key: str = field(repr=False)


def _place(options: Options, environment: Mapping[str, str]) -> _Place:
    gateway = (options.gateway or environment.get("ANTHROPIC_BASE_URL", "")).strip().rstrip("/")
    if not gateway:
        raise Refused("the tool does not go through it (ANTHROPIC_BASE_URL is not set)")
    if options.console:
        from deploy.remote.logins import find_place
        from deploy.remote.short_lived_key import Wanted, kept_key

        key = kept_key(find_place(environment, options.console), Wanted(options.tool, options.team), environment)
        if key is None:
            raise Refused("no key yet")
        return _Place(gateway, key)
    key = _key_of(environment)
    if not key:
        raise Refused("no key in the tool's environment")
    return _Place(gateway, key)


def _key_of(environment: Mapping[str, str]) -> str:
    for line in environment.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "x-switchyard-key":
            return value.strip()
    return (environment.get("ANTHROPIC_AUTH_TOKEN") or environment.get("ANTHROPIC_API_KEY") or "").strip()


def _fetch(place: _Place, told: Told, now_s: float) -> Known:
    from urllib.parse import urlencode

    from deploy.remote.gateway import fetch_json

    hints = {"client": "claude-code", "model": told.model, "session": told.session}
    query = urlencode({name: value for name, value in hints.items() if value})
    try:
        facts = fetch_json(
            place.gateway, f"/switchyard/v1/me?{query}", place.key, limit_s=LIMIT_S, largest=_LARGEST_ANSWER
        )
    except Refused as failure:
        return Known(now_s, now_s, trouble=str(failure))
    try:
        return _read_standing(facts, now_s)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Known(now_s, now_s, trouble="the gateway's answer is not understood; is it older than this command?")


def _read_standing(facts: Any, now_s: float) -> Known:
    rows = facts["budgets"]
    if facts.get("counters") == "unavailable":
        return Known(now_s, now_s, trouble="budgets cannot be read right now")
    tightest = max(rows, key=lambda row: (row["percent"], -float(row["limit_usd"])), default=None)
    if tightest is None:
        return Known(now_s, now_s, has_standing=True)
    return Known(now_s, now_s, _read_budget(tightest), has_standing=True)


def _read_budget(row: Mapping[str, Any]) -> Budget:
    return Budget(
        name=_text(row["name"]),
        left_usd=float(row["left_usd"]),
        limit_usd=float(row["limit_usd"]),
        percent=int(row["percent"]),
        period=_text(row["period"]),
        stage=_text(row["stage"]),
        resets_at_s=float(row.get("resets_at_ms") or 0) / 1000,
    )


def _read(path: Path) -> Known | None:
    try:
        text = read_private(path)
        if text is None:
            return None
        facts = json.loads(text)
        budget = facts.pop("budget")
        return Known(**facts, budget=None if budget is None else Budget(**budget))
    except (Refused, ValueError, TypeError, KeyError, AttributeError):
        # Damaged, or of another version of this command: the next one takes its place.
        return None


def _keep(path: Path, known: Known) -> None:
    budget = known.budget
    facts = {name: getattr(known, name) for name in Known.__slots__}
    facts["budget"] = None if budget is None else {name: getattr(budget, name) for name in Budget.__slots__}
    try:
        write_private(path, json.dumps(facts))
    except Refused:
        # A full or read-only disk: the gateway is asked again next time.
        return


def _forget_old(folder: Path, now_s: float) -> None:
    """Each session has a file of its own: those of days ago are of no use."""
    with suppress(OSError):
        for path in folder.glob("*.json"):
            if path.stat().st_mtime < now_s - _KEPT_S:
                path.unlink()


def _text(value: object, longest: int = _LONGEST_NAME) -> str:
    """Text that may stand in a line of somebody's terminal."""
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in value[:longest] if sign.isprintable())


def _options(argv: list[str]) -> Options:
    import argparse

    parser = argparse.ArgumentParser(
        prog="switchyard statusline",
        description="Print a line for Claude Code's status bar: what is left of the budget, which model answers.",
    )
    parser.add_argument("--gateway", default="", help="the gateway's address (default: ANTHROPIC_BASE_URL)")
    parser.add_argument("--url", default="", help="the console, where `switchyard key helper` mints the tool's key")
    parser.add_argument("--tool", default="claude-code", help="as the helper is called for it")
    parser.add_argument("--team", default="", help="as the helper is called for it")
    given = parser.parse_args(argv)
    return Options(given.gateway, given.url, given.tool, given.team)
