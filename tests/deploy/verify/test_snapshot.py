"""Sealed shards checked offline, as they lie on a pod's shelf."""

import base64
from pathlib import Path

import pytest

from deploy.verify.snapshot import main
from switchyard_contract.seal import ShardVersion, SigningKey, seal

KEY = SigningKey("k1", bytes(range(32)))
PUBLIC_KEY = f"{KEY.key_id}:{base64.b64encode(KEY.public_bytes).decode()}"


def shelved(folder: Path, shard: str, *, version: int = 7, key: SigningKey = KEY, content: bytes = b"policy") -> Path:
    sealed = seal(content, deployment="d", shard=shard, at=ShardVersion(1, version), issued_at_ms=0, key=key)
    path = folder / f"{shard.replace('/', '.')}@1.{version}"
    path.write_bytes(sealed.SerializeToString())
    return path


def verify(*paths: Path) -> int:
    return main([*map(str, paths), "--public-key", PUBLIC_KEY, "--deployment", "d"])


def test_a_whole_shelf_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelved(tmp_path, "global")
    shelved(tmp_path, "org/0a/policy", version=8)
    (tmp_path / "beacon.json").write_text("{}")

    assert verify(tmp_path) == 0
    told = capsys.readouterr().out
    assert "ok      global 1.7" in told
    assert "org/0a/policy 1.8" in told


def test_what_was_changed_or_renamed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = shelved(tmp_path, "global")
    flipped = tmp_path / "global@1.8"
    flipped.write_bytes(sound.read_bytes()[:-1] + b"\x00")
    renamed = tmp_path / "global@1.9"
    renamed.write_bytes(sound.read_bytes())
    foreign = shelved(tmp_path, "org/0a/policy", key=SigningKey("k1", bytes(32)))
    junk = tmp_path / "org.0a.deny@1.1"
    junk.write_bytes(b"\xff\xff")

    assert verify(tmp_path) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.startswith("BROKEN") for line in told] == [False, True, True, True, True]
    assert all(str(path) in line for path, line in zip((flipped, renamed, junk, foreign), told[1:], strict=True))


def test_nothing_to_check_is_no_verdict(tmp_path: Path) -> None:
    assert verify(tmp_path) == 2
    assert verify(tmp_path / "missing") == 2
