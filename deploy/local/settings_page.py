"""The page of settings, written from the table so that it cannot lag behind."""

from collections.abc import Iterable

from switchyard_contract.settings import SETTINGS, Setting

HEAD = """# Settings

Every process reads its settings from the environment, once, at its start. A wrong or missing one stops the start and
is named; `switchyard doctor` names them all at once. A **secret** may lie in a file instead: set `<NAME>_FILE` to its
path. This page is written by `switchyard doctor --settings-page` from `switchyard_contract/settings.py`.

Planes: **control** is `migrate`, `web`, `grpc`, `worker` and `beat`; **data** is `pod`; **local** is `up`, which fills
in everything of the other two that is not set and makes the secrets on its first run (`local-mode.md`).
"""
TITLES = {
    "control": "Control plane",
    "data": "Pods",
    "local": "Local mode",
}


def settings_page() -> str:
    """Write the whole page in Markdown."""
    sections = [HEAD]
    for plane, title in TITLES.items():
        rows = [_row(setting) for setting in SETTINGS if plane in setting.planes]
        sections.append("\n".join((f"## {title}", "", *_head_rows(), *rows, "")))
    return "\n".join(sections)


def _head_rows() -> Iterable[str]:
    yield "| name | kind | default | range | meaning |"
    yield "| --- | --- | --- | --- | --- |"


def _row(setting: Setting) -> str:
    cells = (f"`{setting.name}`", setting.kind, _default(setting), _range(setting), setting.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "**required**"
    return f"`{setting.default}`" if setting.default else "empty"


def _range(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.lowest is not None and setting.highest is not None:
        return f"{setting.lowest} to {setting.highest} {setting.unit}".rstrip()
    return setting.unit
