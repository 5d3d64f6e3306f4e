from pathlib import Path

from data_plane.snapshots.breadcrumbs import Breadcrumbs
from switchyard_contract.seal import ShardVersion

POISON, GOOD = ShardVersion(1, 2), ShardVersion(1, 1)


def start(folder: Path) -> Breadcrumbs:
    """A run's beginning: what the last one left is read and judged."""
    crumbs = Breadcrumbs(folder)
    crumbs.count_start(lambda _shard, _at: False)
    return crumbs


def test_a_version_that_ended_two_runs_is_quarantined_although_the_older_one_was_read_again_between(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        crumbs = start(tmp_path)
        # The shelf was not written in time, so each run begins with the older version.
        crumbs.judging("keys/0", GOOD)
        crumbs.adopted("keys/0", GOOD)
        crumbs.judging("keys/0", POISON)
    assert start(tmp_path).quarantined == {("keys/0", POISON)}


def test_a_newer_version_supersedes_what_was_held_against_older_ones(tmp_path: Path) -> None:
    crumbs = start(tmp_path)
    crumbs.judging("keys/0", GOOD)
    crumbs.judging("keys/0", POISON)
    assert crumbs.marked == {("keys/0", POISON)}


def test_a_version_that_was_lived_with_is_forgotten(tmp_path: Path) -> None:
    crumbs = start(tmp_path)
    crumbs.judging("keys/0", GOOD)
    crumbs.adopted("keys/0", GOOD)
    crumbs.clear("keys/0", GOOD)
    assert start(tmp_path).marked == frozenset()
