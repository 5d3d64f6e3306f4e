"""`switchyard verify-snapshot FILE...`: what signed snapshots say of themselves, and whether it is true.

Reads sealed shards as they lie on a pod's shelf (`<state>/shelf/<shard>@<epoch>.<version>`); a folder stands for all in
it. Exit codes: 0 all verify, 1 at least one does not, 2 wrong arguments or nothing to read. Shows no content.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.message import DecodeError

from deploy.verify.keys import HELP, NoSuchKey, read_public_keys
from switchyard_contract.seal import SealFailure, VerifyKeys, open_sealed
from switchyard_contract.v1 import snapshot_pb2

_SHELVED = re.compile(r"[a-z0-9.]+@[0-9]+\.[0-9]+")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="switchyard verify-snapshot", description="Check signed snapshots offline, such as those on a pod's shelf."
    )
    parser.add_argument("files", nargs="+", type=Path, help="sealed shards, or a shelf's folder")
    parser.add_argument("--public-key", action="append", required=True, help=HELP)
    parser.add_argument("--deployment", required=True, help="SWITCHYARD_DEPLOYMENT_ID of the installation")
    arguments = parser.parse_args(argv)
    try:
        keys = read_public_keys(arguments.public_key)
        files = [file for path in arguments.files for file in _files(path)]
        if not files:
            raise NoSuchKey("there is no sealed shard in what was given")
        is_sound = [_check(file, keys, arguments.deployment) for file in files]
    except (NoSuchKey, OSError) as failure:
        print(f"switchyard verify-snapshot: {failure}", file=sys.stderr)
        return 2
    return 0 if all(is_sound) else 1


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.iterdir() if _SHELVED.fullmatch(file.name))
    else:
        yield path


def _check(file: Path, keys: VerifyKeys, deployment: str) -> bool:
    """Say of one file whether it is what it claims to be."""
    try:
        sealed = snapshot_pb2.SealedShard.FromString(file.read_bytes())
        opened = open_sealed(sealed, deployment=deployment, keys=keys)
    except DecodeError:
        print(f"BROKEN  {file}: no sealed shard")
        return False
    except SealFailure as failure:
        print(f"BROKEN  {file}: {failure}")
        return False
    header = snapshot_pb2.SealHeader.FromString(sealed.header)
    claimed = f"{opened.shard.replace('/', '.')}@{opened.at.epoch}.{opened.at.version}"
    if _SHELVED.fullmatch(file.name) and file.name != claimed:
        print(f"BROKEN  {file}: holds {claimed}")
        return False
    issued = datetime.fromtimestamp(opened.issued_at_ms / 1000, tz=UTC)
    print(
        f"ok      {opened.shard} {opened.at.epoch}.{opened.at.version}  issued {issued:%Y-%m-%d %H:%M:%S}Z  "
        f"signed by {header.signing_key_id}  {len(opened.payload)} bytes  sha256 {opened.payload_sha256.hex()}"
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
