"""Rules that a reviewer would otherwise have to repeat."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, python_files

SQL_CALLS = {"execute", "executemany", "raw", "extra", "RawSQL", "copy", "RunSQL"}
# Where a process starts: what it finds in the environment is handed on as values.
READS_ENVIRONMENT = {
    "control_plane/manage.py",
    "control_plane/project",
    "data_plane/__main__.py",
    "deploy",
}


def composed_sql(tree: ast.Module) -> Iterator[int]:
    """Find calls that run SQL put together from text at run time, directly or through a name of the same file.

    psycopg's `sql.SQL(...).format(...)` quotes what is put in and is the way to do it.
    """
    composed_names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_composed(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        is_name = isinstance(first, ast.Name) and first.id in composed_names
        if called in SQL_CALLS and (_is_composed(first) or is_name):
            yield node.lineno


def _is_composed(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr():
            return any(isinstance(part, ast.FormattedValue) for part in node.values)
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.Mod()):
            return any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (left, right)) and not (
                _is_text(left) and _is_text(right)
            )
        case ast.Call(func=ast.Attribute(attr="format", value=value)):
            return _is_text(value)
    return False


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize(
    ("source", "is_refused"),
    [
        ('cursor.execute(f"SELECT {x}")', True),
        ('cursor.execute("SELECT " + x)', True),
        ('cursor.execute("SELECT %s" % x)', True),
        ('cursor.execute("SELECT {}".format(x))', True),
        ('query = f"SELECT {x}"\ncursor.execute(query)', True),
        ('cursor.execute("SELECT %s", [x])', False),
        ('cursor.execute("SELECT 1 " "FROM t")', False),
        ('cursor.execute(sql.SQL("SELECT {}").format(sql.Identifier(x)))', False),
        ('print(f"SELECT {x}")', False),
    ],
)
def test_the_rule_about_composed_sql_knows_the_difference(source: str, is_refused: bool) -> None:
    assert bool(list(composed_sql(ast.parse(source)))) is is_refused


def test_no_sql_is_put_together_from_text() -> None:
    # A migration's definitions cannot take parameters, and what it puts in stands in the same file.
    files = [(path, tree) for path, tree in python_files(*PACKAGES) if "migrations" not in path.parts]
    found = [f"{path}:{line}" for path, tree in files for line in composed_sql(tree)]
    assert found == [], "pass values as parameters, names through psycopg.sql.Identifier"


def test_the_environment_is_read_only_where_a_process_starts() -> None:
    found = []
    for path, tree in python_files("control_plane", "data_plane", "proto"):
        if any(path.is_relative_to(Path(allowed)) for allowed in READS_ENVIRONMENT):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                found.append(f"{path}:{node.lineno}")
    assert found == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    found = []
    for path, tree in python_files("tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("skip", "skipif", "xfail", "importorskip"):
                found.append(f"{path}:{node.lineno}")
    assert found == [], "name the missing thing and fail"
