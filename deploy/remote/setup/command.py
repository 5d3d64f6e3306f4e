"""`switchyard setup <tool>`: sign in if needed, show the diff of the tool's own file, ask, merge; `--remove` undoes."""

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.remote.logins import Place, find_place, login_at
from deploy.remote.machine import machine_name, own_command
from deploy.remote.own_files import home_of, locked, needed_folder, remove, write_private
from deploy.remote.refused import Refused
from deploy.remote.setup.apply import diff_of, write_removal, write_setup
from deploy.remote.setup.journal import Journal, journal_read, lock_path
from deploy.remote.setup.plan import FilePlan, look, plan_removal, plan_setup
from deploy.remote.setup.tools import ADDRESS, TOOLS, Access, Facts, Tool, changes_of
from deploy.remote.short_lived_key import Wanted, helper_key

DAY_S = 24 * 3600
STATIC_KEY_DAYS = 90
RENEWED_BEFORE_S = 14 * DAY_S
NEW_KEY = "sypat_" + "new" * 16
"""Stands in the plan for a key that is minted once the person has agreed."""
ALIASES = {"codex-cli": "codex", "claude": "claude-code", "gemini": "gemini-cli"}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    tool = TOOLS[ALIASES.get(arguments.tool, arguments.tool)]
    try:
        with locked(lock_path(tool.id, os.environ)):
            if arguments.remove:
                _remove(tool, arguments)
            else:
                _set_up(tool, arguments)
    except Refused as failure:
        print(f"switchyard setup {tool.id}: {failure}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print(f"switchyard setup {tool.id}: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


@dataclass(frozen=True, slots=True)
class _StaticKey:
    """A key that is written down for a tool which cannot ask for one. key empty: it has still to be minted."""

    key: str = field(default="", repr=False)
    id: str = ""
    expires_at_s: int = 0


def _set_up(tool: Tool, arguments: argparse.Namespace) -> None:
    place = _place(arguments)
    facts = _facts(place, tool)
    uses_helper = tool.has_helper and not arguments.static_key
    if uses_helper and not place.is_login:
        place = _kept_login(place)
    team = _team(facts, arguments)
    former = journal_read(tool.id, os.environ)
    static = _StaticKey() if uses_helper else _former_key(former, place)
    status_line = _status_line(tool, facts, place, team, arguments, former, uses_helper=uses_helper)
    access = _access(tool, place, team, static, uses_helper, status_line)
    plans = _plans(tool, facts, access, former)
    if facts.warning:
        print(f"! {facts.warning}", file=sys.stderr)
    _warn_about_shell(tool)
    is_new_key = not uses_helper and not static.key
    if not is_new_key and not any(plan.changes_anything for plan in plans):
        print(f"{tool.name} is set up for {facts.organization} already; nothing to change.")
        return
    _show(plans)
    if arguments.dry_run:
        print("Nothing was written (--dry-run).")
        return
    _agree(arguments, f"Write {'this' if len(plans) == 1 else 'these'}?")
    if uses_helper:
        # Once now, so that what would fail in the tool later fails here, before anything is written.
        helper_key(place, Wanted(tool.id, team), os.environ)
    elif is_new_key:
        static = _mint(place, tool, team)
        plans = _plans(tool, facts, _access(tool, place, team, static, uses_helper, status_line), former)
    key_file = _key_file(tool) if tool.keeps_key_apart and static.key else None
    if key_file is not None:
        write_private(key_file, static.key + "\n")
    journal = Journal(
        tool=tool.id,
        url=place.url,
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        files=(),
        key_id=static.id,
        key=static.key,
        key_expires_at_s=static.expires_at_s,
        key_file=key_file,
    )
    write_setup(plans, journal, os.environ)
    if former is not None and former.key_id not in ("", static.id):
        _revoke(former)
    print(f"{tool.name} goes through {facts.gateway_url} now. Undo: switchyard setup {tool.id} --remove")
    if static.expires_at_s:
        ends = datetime.fromtimestamp(static.expires_at_s, UTC)
        print(f"Its key lives until {ends:%Y-%m-%d}; run this command again before then.")
    if shutil.which(tool.program) is None:
        print(f"`{tool.program}` itself is not installed here, or not on the PATH.", file=sys.stderr)


def _remove(tool: Tool, arguments: argparse.Namespace) -> None:
    journal = journal_read(tool.id, os.environ)
    if journal is None:
        print(f"{tool.name} was not set up by this command here; nothing to undo.")
        return
    plans = [plan_removal(look(record.path), record) for record in journal.files]
    _show(plans)
    for plan in plans:
        for path in plan.kept:
            print(f"{plan.found.path}: {'.'.join(path)} was changed since and stays.", file=sys.stderr)
    if arguments.dry_run:
        print("Nothing was written (--dry-run).")
        return
    if any(plan.changes_anything for plan in plans):
        _agree(arguments, f"Undo {'this' if len(plans) == 1 else 'these'}?")
    left = write_removal(plans, journal, os.environ)
    if journal.key_file is not None:
        remove(journal.key_file)
    if journal.key_id:
        _revoke(journal)
    print(f"{tool.name} is as it was before." if not left else f"{tool.name} no longer goes through Switchyard.")
    for backup in left:
        print(f"The file as it was before is still at {backup}")


def _plans(tool: Tool, facts: Facts, access: Access, former: Journal | None) -> list[FilePlan]:
    home = home_of(os.environ)
    if home is None:
        raise Refused("HOME is not set, so the tool's own files cannot be found")
    changes = changes_of(tool, facts, access)
    plans = []
    for file in tool.files:
        found = look(file.find(home, os.environ))
        record = next((one for one in (former.files if former else ()) if one.path == found.real), None)
        holds_secret = any(_holds(change.value, access.key) for change in changes[file.name])
        plans.append(plan_setup(found, file.kind, changes[file.name], record, holds_secret=holds_secret))
    return plans


def _holds(value: Any, key: str) -> bool:
    """Whether a key stands somewhere in a value."""
    if isinstance(value, Mapping):
        return any(_holds(inner, key) for inner in value.values())
    return bool(key) and value == key


def _access(
    tool: Tool, place: Place, team: str, static: _StaticKey, uses_helper: bool, status_line: tuple[str, ...]
) -> Access:
    if uses_helper:
        command = (*own_command(), "key", "helper", *_by_helper(tool, place, team))
        return Access(command=command, status_line=status_line)
    key_file = _key_file(tool) if tool.keeps_key_apart else None
    return Access(key=static.key or NEW_KEY, key_file=key_file, status_line=status_line)


def _by_helper(tool: Tool, place: Place, team: str) -> tuple[str, ...]:
    """Whose key is meant, in the words of `switchyard key helper`."""
    words = ("--tool", tool.id, "--url", place.url)
    return (*words, "--team", team) if team else words


def _status_line(
    tool: Tool,
    facts: Facts,
    place: Place,
    team: str,
    arguments: argparse.Namespace,
    former: Journal | None,
    *,
    uses_helper: bool,
) -> tuple[str, ...]:
    """The command of the tool's status bar; empty: it stays as it is. What was switched on before stays on."""
    wanted = arguments.status_line
    if tool.status_line is None:
        if wanted:
            raise Refused(f"{tool.name} has no status bar that a command can write to")
        return ()
    if wanted is None:
        entries = (entry for file in (former.files if former else ()) for entry in file.entries)
        wanted = any(entry.path == tool.status_line for entry in entries)
    if not wanted:
        return ()
    command = (*own_command(), "statusline")
    if re.fullmatch(ADDRESS, facts.gateway_url):
        command = (*command, "--gateway", facts.gateway_url)
    return (*command, *_by_helper(tool, place, team)) if uses_helper else command


def _key_file(tool: Tool) -> Path:
    return (needed_folder(os.environ) / "keys" / f"{tool.id}.key").absolute()


def _place(arguments: argparse.Namespace) -> Place:
    try:
        return find_place(os.environ, arguments.url)
    except Refused as failure:
        url = arguments.url or os.environ.get("SWITCHYARD_URL")
        if failure.status != 401 or not url:
            raise
        from deploy.remote.sign_in import sign_in

        print(f"Signing in at {url} first.", file=sys.stderr)
        login = sign_in(url, os.environ)
        return Place(login.url, login.token, is_login=True)


def _kept_login(place: Place) -> Place:
    """The sign-in that will still be there when the tool asks for a key, which SWITCHYARD_TOKEN may not be."""
    login = login_at(place.url, os.environ)
    if login is None or (login.expires_at_s is not None and login.expires_at_s <= time.time()):
        raise Refused(
            f"the tool will ask for keys later, so a sign-in is needed that stays: switchyard login --url {place.url} "
            "(or --static-key)"
        )
    return Place(login.url, login.token, is_login=True)


def _facts(place: Place, tool: Tool) -> Facts:
    try:
        raw = place.api().call("GET", f"recipes/{tool.id}")
    except Refused as failure:
        if failure.status == 401 and place.is_login:
            raise Refused(
                f"the sign-in at {place.url} is no longer valid. Run: switchyard login --url {place.url}"
            ) from failure
        raise
    try:
        settings: dict[str, Mapping[str, Any]] = raw["settings"]
        if not all(isinstance(file, dict) for file in settings.values()):
            raise TypeError("settings")
        return Facts(
            tool=tool.id,
            organization=str(raw["organization_name"]),
            gateway_url=str(raw["gateway_url"]),
            settings=settings,
            warning=str(raw.get("warning") or ""),
            teams=tuple(str(team) for team in raw.get("teams") or ()),
        )
    except (KeyError, TypeError, AttributeError) as failure:
        raise Refused(f"{place.url} did not answer as a Switchyard console does") from failure


def _team(facts: Facts, arguments: argparse.Namespace) -> str:
    """The team that is charged; empty where there is only one to charge."""
    if arguments.team:
        if facts.teams and arguments.team not in facts.teams:
            raise Refused(f"--team: one of {', '.join(facts.teams)}")
        return str(arguments.team)
    if len(facts.teams) < 2:
        return ""
    if not sys.stdin.isatty():
        raise Refused(f"say which team is charged: --team, one of {', '.join(facts.teams)}")
    for number, team in enumerate(facts.teams, 1):
        print(f"  {number}  {team}")
    answer = input("Which team is charged? ").strip()
    if answer in facts.teams:
        return answer
    if answer.isdigit() and 1 <= int(answer) <= len(facts.teams):
        return facts.teams[int(answer) - 1]
    raise Refused("there is no such team")


def _former_key(former: Journal | None, place: Place) -> _StaticKey:
    """The key of the former set-up while it is good for some time yet."""
    if former is None or not former.key or former.url != place.url:
        return _StaticKey()
    if former.key_expires_at_s - time.time() < RENEWED_BEFORE_S:
        return _StaticKey()
    try:
        state = place.api().call("GET", f"keys/{former.key_id}").get("state")
    except Refused as failure:
        if failure.status == 404:
            return _StaticKey()
        raise
    if state != "active":
        return _StaticKey()
    return _StaticKey(former.key, former.key_id, former.key_expires_at_s)


def _mint(place: Place, tool: Tool, team: str) -> _StaticKey:
    expires_at_s = int(time.time()) + STATIC_KEY_DAYS * DAY_S
    body: dict[str, Any] = {
        "name": f"{tool.id} on {machine_name()}",
        "expires_at": datetime.fromtimestamp(expires_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if team:
        body["team"] = team
    answer = place.api().call("POST", "keys?wait=applied", body)
    return _StaticKey(str(answer["key"]), str(answer["id"]), expires_at_s)


def _revoke(journal: Journal) -> None:
    try:
        place = find_place(os.environ, journal.url)
        place.api().call("POST", f"keys/{journal.key_id}/revoke", {"reason": "switchyard setup"})
    except Refused as failure:
        print(f"Its key {journal.key_id} could not be revoked ({failure}); do it in the console.", file=sys.stderr)


def _warn_about_shell(tool: Tool) -> None:
    loud = [name for name in tool.loud_variables if os.environ.get(name)]
    if loud:
        print(f"! Your shell sets {', '.join(loud)}, which wins over the file. Unset it.", file=sys.stderr)


def _show(plans: Sequence[FilePlan]) -> None:
    for plan in plans:
        if text := diff_of(plan):
            print(text + "\n")


def _agree(arguments: argparse.Namespace, question: str) -> None:
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to ask; say --yes")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("nothing was written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchyard setup",
        description="Point a coding tool at Switchyard by merging into its own file, and undo it again.",
    )
    parser.add_argument("tool", choices=[*TOOLS, *ALIASES], metavar="tool", help=", ".join(TOOLS))
    parser.add_argument("--url", help="the console's address (default: SWITCHYARD_URL, else the last sign-in)")
    parser.add_argument("--team", help="the team that is charged, where there are several")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    parser.add_argument("--remove", action="store_true", help="undo it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--static-key", action="store_true", help="write a key of 90 days into the file even where a helper would do"
    )
    parser.add_argument(
        "--status-line",
        action=argparse.BooleanOptionalAction,
        help="let the tool's status bar say what is left of your budget (Claude Code); what was chosen before stays",
    )
    return parser
