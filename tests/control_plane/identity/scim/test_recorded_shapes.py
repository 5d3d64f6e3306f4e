"""Entra and Okta: what they send, in their order, from tables below fixtures/."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.control_plane.identity.scim.provider import Provider

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(FIXTURES.glob("*/*.json"))
_MISSING = object()


def filled(value: Any, saved: dict[str, str]) -> Any:
    """Put the ids of earlier answers where ${name} stands."""
    if isinstance(value, str):
        for name, text in saved.items():
            value = value.replace("${" + name + "}", text)
        return value
    if isinstance(value, list):
        return [filled(each, saved) for each in value]
    if isinstance(value, dict):
        return {filled(key, saved): filled(each, saved) for key, each in value.items()}
    return value


def at(answer: Any, path: str) -> Any:
    """The value at a path such as emails/0/value."""
    for step in path.split("/"):
        if isinstance(answer, list):
            answer = answer[int(step)] if int(step) < len(answer) else _MISSING
        else:
            answer = answer.get(step, _MISSING) if isinstance(answer, dict) else _MISSING
    return answer


def test_there_are_tables_of_both() -> None:
    assert {path.parent.name for path in FILES} == {"entra", "okta"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_provider_is_answered_as_it_expects(provider: Provider, path: Path) -> None:
    saved: dict[str, str] = {}
    for step in json.loads(path.read_text())["steps"]:
        step = filled(step, saved)
        query = f"?{urlencode(step['query'])}" if "query" in step else ""
        response = provider.send(step["method"], step["path"] + query, step.get("body"))
        told = f"{step['name']}: {response.status_code} {response.content.decode()}"
        assert response.status_code == step["status"], told
        answer = json.loads(response.content) if response.content else {}
        if response.content:
            assert response.headers["Content-Type"].startswith("application/scim+json"), told
        for where, wanted in step.get("expect", {}).items():
            assert at(answer, where) == wanted, f"{where} in {told}"
        for where in step.get("absent", []):
            assert at(answer, where) is _MISSING, f"{where} in {told}"
        if step["status"] == 201:
            assert response.headers["Location"] == answer["meta"]["location"], told
            assert response.headers["ETag"] == answer["meta"]["version"], told
        for name, where in step.get("save", {}).items():
            saved[name] = at(answer, where)
