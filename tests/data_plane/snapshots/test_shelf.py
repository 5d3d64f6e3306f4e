"""The shelf: what lies on the disk is verified like what comes over the wire."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from data_plane.snapshots.breadcrumbs import Breadcrumbs
from data_plane.snapshots.freshness import Freshness
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import delivery_pb2
from tests.data_plane.snapshots.builders import (
    NOW_MS,
    PREFIX,
    Clock,
    a_keeper,
    a_shelf,
    key_shard,
    sealed,
    whole_policy,
)

KEYS = f"{PREFIX}/keys/0"


def keys_file(folder: Path, version: int) -> Path:
    return next(folder.glob(f"*keys.0@1.{version}"))


def versions(folder: Path, shard: str = KEYS) -> list[int]:
    return [opened.at.version for opened in a_shelf(folder).load().get(shard, [])]


def fill(folder: Path) -> None:
    shelf = a_shelf(folder)
    shelf.save(whole_policy(1, "v1"))
    for version in range(2, 6):
        shelf.save([sealed(KEYS, key_shard(f"v{version}"), version)])


def test_the_newest_and_the_two_before_are_kept_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    fill(tmp_path)
    assert versions(tmp_path) == [5, 4, 3]
    assert versions(tmp_path, "global") == [1]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_keeper_starts_from_the_shelf(tmp_path: Path) -> None:
    fill(tmp_path)
    keeper = a_keeper()
    assert keeper.restore(a_shelf(tmp_path).load()) == []
    assert keeper.policy.is_complete
    assert set(keeper.policy.keys) == {"v5"}


def test_any_flipped_bit_costs_that_file_and_the_version_before_it_serves(tmp_path: Path) -> None:
    fill(tmp_path)
    path = keys_file(tmp_path, 5)
    whole = path.read_bytes()
    for position in range(0, len(whole) * 8, 5):
        broken = bytearray(whole)
        broken[position // 8] ^= 1 << position % 8
        path.write_bytes(broken)
        keeper = a_keeper()
        keeper.restore(a_shelf(tmp_path).load())
        # A flip in a field number can leave the three signed parts untouched: then it is the very same version.
        assert set(keeper.policy.keys) in ({"v4"}, {"v5"})
        if set(keeper.policy.keys) == {"v5"}:
            assert versions(tmp_path)[0] == 5


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"cut"])
def test_a_cut_or_empty_file_is_passed_over(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path)
    keys_file(tmp_path, 5).write_bytes(content)
    keys_file(tmp_path, 4).write_bytes(keys_file(tmp_path, 4).read_bytes()[:-7])
    assert versions(tmp_path) == [3]


def test_a_file_under_a_wrong_name_is_not_believed(tmp_path: Path) -> None:
    fill(tmp_path)
    old = keys_file(tmp_path, 3)
    old.with_name(old.name.replace("@1.3", "@1.9")).write_bytes(old.read_bytes())
    assert versions(tmp_path) == [5, 4, 3]


def test_files_of_another_deployment_are_not_believed(tmp_path: Path) -> None:
    a_shelf(tmp_path).save([sealed("global", whole_policy()[0].payload, deployment="other")])
    shelf = a_shelf(tmp_path)
    assert shelf.load() == {}
    assert shelf.unreadable == 1


def test_a_shelved_version_that_makes_no_policy_gives_way_to_the_one_before(tmp_path: Path) -> None:
    fill(tmp_path)
    a_shelf(tmp_path).save([sealed(KEYS, key_shard("bad", digest=b"short"), 6)])
    keeper = a_keeper()
    keeper.restore(a_shelf(tmp_path).load())
    assert set(keeper.policy.keys) == {"v5"}
    assert keeper.policy.is_complete


def test_a_forgotten_shard_leaves_the_shelf(tmp_path: Path) -> None:
    fill(tmp_path)
    a_shelf(tmp_path).remove(KEYS)
    assert versions(tmp_path) == []
    assert versions(tmp_path, "global") == [1]


def test_key_material_is_wrapped_and_opens_only_with_the_shelf_key(tmp_path: Path) -> None:
    material = delivery_pb2.KeyMaterial(peppers={1: b"p" * 32}, sealing_keys={2: b"s" * 32})
    a_shelf(tmp_path).save_key_material(material)
    assert a_shelf(tmp_path).load_key_material() == material
    assert a_shelf(tmp_path, shelf_key=b"x" * 32).load_key_material() is None
    assert not any(b"p" * 32 in path.read_bytes() for path in tmp_path.iterdir())


def test_without_a_shelf_key_no_secret_touches_the_disk(tmp_path: Path) -> None:
    shelf = a_shelf(tmp_path, shelf_key=None)
    shelf.save_key_material(delivery_pb2.KeyMaterial(peppers={1: b"p" * 32}))
    assert shelf.load_key_material() is None
    assert not (tmp_path / "key-material").exists()


def test_the_age_of_the_policy_outlives_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    freshness = Freshness(clock)
    freshness.hear(NOW_MS)
    a_shelf(tmp_path).save_freshness(freshness)
    clock.now_ms += 5000
    again = Freshness(clock)
    a_shelf(tmp_path).load_freshness(again)
    assert again.age_ms == 5000
    (tmp_path / "beacon.json").write_text("{")
    damaged = Freshness(clock)
    a_shelf(tmp_path).load_freshness(damaged)
    assert damaged.age_ms is None


V7 = (KEYS, ShardVersion(1, 7))


def an_older_one(_: str, __: ShardVersion) -> bool:
    return True


def no_older_one(_: str, __: ShardVersion) -> bool:
    return False


def started(folder: Path, has_older: Callable[[str, ShardVersion], bool] = an_older_one) -> Breadcrumbs:
    crumbs = Breadcrumbs(folder)
    crumbs.count_start(has_older)
    return crumbs


def test_a_version_is_quarantined_when_two_runs_ended_while_judging_it(tmp_path: Path) -> None:
    started(tmp_path).judging(*V7)
    second = started(tmp_path, no_older_one)
    assert second.quarantined == frozenset()
    second.judging(*V7)
    assert started(tmp_path, no_older_one).quarantined == {V7}
    assert started(tmp_path, no_older_one).quarantined == {V7}


def test_on_probation_it_is_quarantined_only_where_an_older_one_can_serve(tmp_path: Path) -> None:
    for _ in range(4):
        crumbs = started(tmp_path, no_older_one)
        crumbs.judging(*V7)
        crumbs.adopted(*V7)
    assert crumbs.quarantined == frozenset()
    assert started(tmp_path, an_older_one).quarantined == {V7}


def test_an_end_while_judging_is_held_against_that_version_alone(tmp_path: Path) -> None:
    bystander = ("global", ShardVersion(1, 3))
    for _ in range(2):
        crumbs = started(tmp_path)
        crumbs.judging(*bystander)
        crumbs.adopted(*bystander)
        crumbs.judging(*V7)
    assert started(tmp_path).quarantined == {V7}


def test_a_pod_that_lives_on_clears_its_mark(tmp_path: Path) -> None:
    for _ in range(5):
        crumbs = started(tmp_path)
        crumbs.judging(*V7)
        crumbs.adopted(*V7)
        crumbs.clear(*V7)
    assert started(tmp_path).quarantined == frozenset()


def test_starts_that_did_not_take_the_version_over_are_not_held_against_it(tmp_path: Path) -> None:
    started(tmp_path).judging(*V7)
    for _ in range(5):
        crumbs = started(tmp_path)
    assert crumbs.quarantined == frozenset()
    assert crumbs.marked == {V7}


def test_a_newer_version_supersedes_a_mark(tmp_path: Path) -> None:
    crumbs = started(tmp_path)
    crumbs.judging(*V7)
    crumbs.judging(KEYS, ShardVersion(1, 8))
    assert crumbs.marked == {(KEYS, ShardVersion(1, 8))}


def test_damaged_breadcrumbs_do_not_stop_a_start(tmp_path: Path) -> None:
    (tmp_path / "breadcrumbs.json").write_text('{"marks": [{"shard": 3}]}')
    assert started(tmp_path).marked == frozenset()


def test_a_quarantined_version_is_not_taken_from_the_shelf(tmp_path: Path) -> None:
    fill(tmp_path)
    for _ in range(2):
        shelf = a_shelf(tmp_path)
        shelf.start()
        shelf.breadcrumbs.judging(KEYS, ShardVersion(1, 5))
    assert [opened.at.version for opened in a_shelf(tmp_path).start()[KEYS]] == [4, 3]
