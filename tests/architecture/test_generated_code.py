"""The checked-in code of the contract is what the compiler makes of the .proto files today."""

import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT

PROTO = ROOT / "proto"
GENERATED = "*_pb2*.py*"


def generated_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob(GENERATED)) if path.suffix in (".py", ".pyi")}


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    sources = sorted(str(path) for path in PROTO.glob("switchyard_contract/v1/*.proto"))
    assert sources
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTO), *outputs, *sources], check=True)
    fresh = generated_in(tmp_path / "switchyard_contract" / "v1")
    kept = generated_in(PROTO / "switchyard_contract" / "v1")
    assert kept == fresh, "run `make proto`"
