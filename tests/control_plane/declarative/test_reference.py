"""The printed reference says what the shapes read."""

from control_plane.declarative.reference import reference_page, schema_file
from tests.architecture.source_tree import ROOT

HOW = "run `python -m control_plane.manage policy_reference`"


def test_the_reference_page_is_fresh() -> None:
    assert (ROOT / "docs/reference/kinds.md").read_text(encoding="utf-8") == reference_page(), HOW


def test_the_checked_in_schema_is_fresh() -> None:
    assert (ROOT / "docs/reference/policy.schema.json").read_text(encoding="utf-8") == schema_file(), HOW
