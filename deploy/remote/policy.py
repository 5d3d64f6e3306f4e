"""`switchyard plan`, `apply`, `export` and `import`: policy as code from a shell or a pipeline.

Exit codes of plan and apply: 0 nothing to change, 2 changes (planned, or made), 1 refused.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from deploy.remote.logins import find_place
from deploy.remote.policy_files import PolicyText, read_files
from deploy.remote.policy_report import Paint, plan_lines, problem_lines
from deploy.remote.refused import Refused

SAME, REFUSED, DIFFERENT = 0, 1, 2
YAML = "application/yaml"


def plan_main(argv: Sequence[str] | None = None) -> int:
    """Show what an apply would do; changes nothing."""
    arguments = _parser("plan", "show what an apply would change, and what that means", _file_options).parse_args(argv)
    return _guarded("plan", lambda: _plan(arguments))


def apply_main(argv: Sequence[str] | None = None) -> int:
    """Plan, ask, apply."""
    arguments = _parser("apply", "make the organization what the files say", _apply_options).parse_args(argv)
    return _guarded("apply", lambda: _apply(arguments))


def export_main(argv: Sequence[str] | None = None) -> int:
    """Write the whole policy as YAML."""
    arguments = _parser("export", "write the organization's policy as YAML", _export_options).parse_args(argv)
    return _guarded("export", lambda: _export(arguments))


def import_main(argv: Sequence[str] | None = None) -> int:
    """Turn another gateway's files into ours. Talks to nobody."""
    arguments = _parser("import", "turn another gateway's files into policy files", _import_options).parse_args(argv)
    return _guarded("import", lambda: _import(arguments))


def _plan(arguments: argparse.Namespace) -> int:
    text = read_files(arguments.file, sys.stdin)
    plan = _ask("plan", text, arguments)
    if plan is None:
        return REFUSED
    _show(plan, arguments)
    return DIFFERENT if plan["has_changes"] else SAME


def _apply(arguments: argparse.Namespace) -> int:
    if "-" in arguments.file and not arguments.yes:
        raise Refused("standard input cannot hold both the file and your answer; say --yes")
    text = read_files(arguments.file, sys.stdin)
    plan = _ask("plan", text, arguments)
    if plan is None:
        return REFUSED
    if not arguments.json:
        _show(plan, arguments)
    if not plan["has_changes"] and not arguments.source:
        if arguments.json:
            _show(plan, arguments)
        return SAME
    if plan["has_changes"] and not arguments.yes and not _says_yes():
        print("Nothing was changed.", file=sys.stderr)
        return REFUSED
    # What was shown is what is applied: if anything has moved meanwhile, nothing is.
    applied = _ask("apply", text, arguments, if_match=plan["etag"])
    if applied is None:
        return REFUSED
    if arguments.json:
        _show(applied, arguments)
    elif applied["has_changes"]:
        print(f"Applied as revision {applied['revision']}.")
    return DIFFERENT if applied["has_changes"] else SAME


def _export(arguments: argparse.Namespace) -> int:
    api = find_place(os.environ, arguments.url).api()
    status, raw = api.send_file("GET", "export", None, YAML, {"Accept": YAML})
    if status != 200:
        raise Refused(_detail(raw, status), status=status)
    if arguments.output in ("", "-"):
        sys.stdout.write(raw.decode())
        return SAME
    Path(arguments.output).write_bytes(raw)
    print(f"{arguments.output}: {raw.count(b'kind: ')} objects", file=sys.stderr)
    return SAME


def _import(arguments: argparse.Namespace) -> int:
    # Loaded here: PyYAML is needed for nothing else on an engineer's machine.
    from deploy.remote.truefoundry import convert

    files = [(name, text) for name, text in _separately(arguments.file)]
    converted = convert(files)
    if arguments.output in ("", "-"):
        sys.stdout.write(converted.text)
    else:
        Path(arguments.output).write_text(converted.text, encoding="utf-8")
    for line in converted.report:
        print(line, file=sys.stderr)
    return SAME


def _separately(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, read_files([name], sys.stdin).text) for name in names]


def _ask(what: str, text: PolicyText, arguments: argparse.Namespace, *, if_match: str = "") -> Mapping[str, Any] | None:
    """Send the files; None after the errors were told."""
    api = find_place(os.environ, arguments.url).api()
    options = {
        "prune": arguments.prune,
        "confirm": "deletions" if arguments.confirm_deletions else "",
        "source": getattr(arguments, "source", ""),
        "reason": getattr(arguments, "reason", ""),
    }
    query = urlencode({name: value for name, value in options.items() if value})
    extra = {"If-Match": if_match} if if_match else {}
    status, raw = api.send_file("POST", f"{what}?{query}" if query else what, text.text.encode(), YAML, extra)
    answer = _json_of(raw, status)
    if status == 200:
        return answer
    if arguments.json:
        print(json.dumps(answer, indent=2))
    for line in problem_lines(answer, text, _paint(sys.stderr)):
        print(line, file=sys.stderr)
    return None


def _show(plan: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(plan, indent=2))
        return
    for line in plan_lines(plan, _paint(sys.stdout)):
        print(line)


def _says_yes() -> bool:
    if not sys.stdin.isatty():
        raise Refused("nobody is here to ask; say --yes to apply without asking")
    return input("Apply this? Type yes: ").strip() == "yes"


def _paint(stream: Any) -> Paint:
    return Paint(is_coloured=stream.isatty() and not os.environ.get("NO_COLOR"))


def _json_of(raw: bytes, status: int) -> Mapping[str, Any]:
    try:
        answer = json.loads(raw or b"null")
    except ValueError as failure:
        raise Refused(f"the console answered {status}, and not in JSON") from failure
    if not isinstance(answer, dict):
        raise Refused(f"the console answered {status}, and not as a Switchyard console does")
    return answer


def _detail(raw: bytes, status: int) -> str:
    answer = _json_of(raw, status)
    return f"{status}: {answer.get('detail') or answer.get('title') or 'refused'}"


def _guarded(name: str, act: Any) -> int:
    try:
        code: int = act()
        return code
    except Refused as failure:
        print(f"switchyard {name}: {failure}", file=sys.stderr)
        return REFUSED


def _parser(name: str, description: str, add_options: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"switchyard {name}", description=description)
    add_options(parser)
    return parser


def _file_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--file", action="append", required=True, metavar="FILE", help="a file, a folder, or -; repeatable"
    )
    parser.add_argument(
        "--prune",
        nargs="?",
        const="true",
        default="",
        metavar="KINDS",
        help="take away what is in no file; only of these kinds, commas between",
    )
    parser.add_argument("--confirm-deletions", action="store_true", help="yes, a great part of it")
    parser.add_argument("--json", action="store_true", help="print the API's answer")
    parser.add_argument("--url", help="the console; default: SWITCHYARD_URL, or where you signed in")


def _apply_options(parser: argparse.ArgumentParser) -> None:
    _file_options(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--reason", default="", help="why; kept in the audit and with the revision")
    parser.add_argument(
        "--source", default="", help="what the files' own history calls them, such as a commit: later edits are drift"
    )


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="default: standard output")
    parser.add_argument("--url", help="the console; default: SWITCHYARD_URL, or where you signed in")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="origin", required=True, choices=["truefoundry"], help="whose files they are")
    parser.add_argument("file", nargs="+", metavar="FILE", help="a file, a folder, or -")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="default: standard output")
