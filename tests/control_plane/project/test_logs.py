"""Logs of the control plane."""

import io
import json
import logging

import structlog

from control_plane.project.logs import formatter
from switchyard_contract.virtual_key import KeyKind, mint


def test_structured_and_library_lines_come_out_alike_and_without_keys() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    target = logging.getLogger("test.logs")
    target.addHandler(handler)
    target.propagate = False
    target.setLevel(logging.INFO)
    token = mint(KeyKind.PERSONAL).text
    try:
        structlog.get_logger("test.logs").info("key seen", text=f"Bearer {token}", nested={"list": [token]})
        target.warning("a library saw %s", token)
        try:
            raise ValueError(token)
        except ValueError:
            target.exception("it broke")
    finally:
        target.removeHandler(handler)
    ours, theirs, broken = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["text"]) == ("key seen", "info", "Bearer sypat_***")
    assert (theirs["event"], theirs["level"]) == ("a library saw sypat_***", "warning")
    assert "ValueError" in json.dumps(broken)
    assert token not in stream.getvalue()
