"""The shelf: the last good shards on the pod's own disk, as they were signed.

What lies here is believed no more than what comes over the wire: it is verified again at each start. Of every shard the
newest version and the two before it are kept, so that one damaged or poisonous file costs one version.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from google.protobuf.message import DecodeError

from data_plane.snapshots.breadcrumbs import Breadcrumbs
from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.key_material import unwrap_key_material, wrap_key_material
from data_plane.snapshots.shards import read_header
from switchyard_contract.envelope import EnvelopeFailure
from switchyard_contract.seal import OpenedShard, SealFailure, ShardVersion, VerifyKeys, WrongShard, open_sealed
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

log = structlog.get_logger()

KEPT_VERSIONS = 3
_NAME = re.compile(r"(?P<shard>[a-z0-9.]+)@(?P<epoch>[0-9]{1,20})\.(?P<version>[0-9]{1,20})")
_KEY_MATERIAL, _BEACON = "key-material", "beacon.json"


@dataclass(frozen=True, slots=True)
class _Place:
    """A file that claims to hold a version of a shard."""

    path: Path
    shard: str
    at: ShardVersion


class Shelf:
    """Blocking; the subscription calls what writes from a thread. One pod, one folder."""

    def __init__(self, directory: Path, *, deployment: str, keys: VerifyKeys, shelf_key: bytes | None) -> None:
        """Makes the folder. Raises OSError."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.breadcrumbs = Breadcrumbs(directory)
        self._directory, self._deployment, self._keys, self._shelf_key = directory, deployment, keys, shelf_key
        self.unreadable = 0
        """Files that did not verify when they were last read."""

    def start(self) -> dict[str, list[OpenedShard]]:
        """Load, and pass over what this pod died of; once per start. Raises OSError."""
        found = self.load()

        def has_older(shard: str, at: ShardVersion) -> bool:
            return any(opened.at.is_before(at) for opened in found.get(shard, ()))

        self.breadcrumbs.count_start(has_older)
        quarantined = self.breadcrumbs.quarantined
        kept = {
            shard: [opened for opened in versions if (shard, opened.at) not in quarantined]
            for shard, versions in found.items()
        }
        return {shard: versions for shard, versions in kept.items() if versions}

    def load(self) -> dict[str, list[OpenedShard]]:
        """Every version that still verifies, per shard, newest first. Raises OSError when the folder is gone."""
        found: dict[str, list[OpenedShard]] = {}
        for place in self._places():
            try:
                opened = self._open(place)
            except (SealFailure, DecodeError, OSError) as failure:
                self.unreadable += 1
                log.warning("shelved shard does not verify", file=place.path.name, why=str(failure))
                continue
            found.setdefault(place.shard, []).append(opened)
        return found

    def save(self, shards: Iterable[snapshot_pb2.SealedShard]) -> None:
        """Put verified shards on the shelf, whole or not at all, and take old versions off. Raises OSError."""
        saved: set[str] = set()
        for sealed in shards:
            header = read_header(sealed)
            name = _file_name(header.shard, ShardVersion(header.epoch, header.version))
            self._write(name, sealed.SerializeToString())
            saved.add(header.shard)
        seen: dict[str, int] = {}
        for place in self._places():
            seen[place.shard] = seen.get(place.shard, 0) + 1
            if place.shard in saved and seen[place.shard] > KEPT_VERSIONS:
                place.path.unlink(missing_ok=True)
        self._sync_directory()

    def remove(self, shard: str) -> None:
        """Take every version of a forgotten shard off. Raises OSError."""
        for place in self._places():
            if place.shard == shard:
                place.path.unlink(missing_ok=True)
        self._sync_directory()

    def save_key_material(self, material: delivery_pb2.KeyMaterial) -> None:
        """Keep the deployment's secrets, wrapped; nothing happens without a shelf key. Raises OSError."""
        if self._shelf_key is None:
            return
        wrapped = wrap_key_material(material, shelf_key=self._shelf_key, deployment=self._deployment)
        self._write(_KEY_MATERIAL, wrapped)
        self._sync_directory()

    def load_key_material(self) -> delivery_pb2.KeyMaterial | None:
        """None: none is kept, or it does not open with this shelf key."""
        if self._shelf_key is None:
            return None
        try:
            wrapped = (self._directory / _KEY_MATERIAL).read_bytes()
            return unwrap_key_material(wrapped, shelf_key=self._shelf_key, deployment=self._deployment)
        except FileNotFoundError:
            return None
        except EnvelopeFailure as failure:
            log.warning("shelved key material left out", why=str(failure))
            return None

    def save_freshness(self, freshness: Freshness) -> None:
        """Remember the newest beacon, so that a restart does not make old policy young. Raises OSError."""
        content = {"issued_at_ms": freshness.issued_at_ms, "heard_at_ms": freshness.heard_at_ms}
        self._write(_BEACON, json.dumps(content).encode())

    def load_freshness(self, freshness: Freshness) -> None:
        try:
            content = json.loads((self._directory / _BEACON).read_bytes())
            freshness.remember(int(content["issued_at_ms"]), int(content["heard_at_ms"]))
        except FileNotFoundError:
            return
        except (ValueError, TypeError, KeyError) as failure:
            log.warning("shelved beacon left out", why=str(failure))

    def _open(self, place: _Place) -> OpenedShard:
        sealed = snapshot_pb2.SealedShard.FromString(place.path.read_bytes())
        opened = open_sealed(sealed, deployment=self._deployment, keys=self._keys)
        if (opened.shard.replace("/", "."), opened.at) != (place.shard.replace("/", "."), place.at):
            raise WrongShard(f"the file holds {opened.shard} {opened.at.epoch}.{opened.at.version}")
        return opened

    def _places(self) -> list[_Place]:
        places = []
        for path in self._directory.iterdir():
            named = _NAME.fullmatch(path.name)
            if named:
                at = ShardVersion(int(named["epoch"]), int(named["version"]))
                places.append(_Place(path, named["shard"].replace(".", "/"), at))
        return sorted(places, key=lambda each: (each.shard, -each.at.epoch, -each.at.version))

    def _write(self, name: str, content: bytes) -> None:
        fresh = self._directory / f"{name}.new"
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            os.fdatasync(file)
        finally:
            os.close(file)
        fresh.replace(self._directory / name)

    def _sync_directory(self) -> None:
        file = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _file_name(shard: str, at: ShardVersion) -> str:
    return f"{shard.replace('/', '.')}@{at.epoch}.{at.version}"
