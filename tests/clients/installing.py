"""The pinned tools: from npm, and what is no Node program from PyPI, below `.bootstrap/clients`."""

import shutil
import subprocess
from pathlib import Path

from tests.end_to_end.stack import ROOT

INSTALL_DIR = ROOT / ".bootstrap" / "clients"
NODE_BIN = INSTALL_DIR / "node_modules" / ".bin"
PYTHON_BIN = INSTALL_DIR / "python" / "bin"
AIDER = "aider-chat==0.86.2"


def install_tools() -> None:
    """Install the pinned tools once; a changed pin installs again."""
    wanted = (Path(__file__).parent / "package.json").read_text(encoding="utf-8")
    INSTALL_DIR.mkdir(parents=True, exist_ok=True)
    kept = INSTALL_DIR / "package.json"
    if (NODE_BIN / "opencode").exists() and kept.read_text(encoding="utf-8") == wanted:
        return
    kept.write_text(wanted, encoding="utf-8")
    print("Installing the coding tools from npm ...", flush=True)
    command = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    subprocess.run(command, cwd=INSTALL_DIR, check=True)


def install_aider() -> None:
    """Install Aider once, apart from our own packages, whose versions it would change."""
    kept = INSTALL_DIR / "aider.txt"
    if (PYTHON_BIN / "aider").exists() and kept.exists() and kept.read_text(encoding="utf-8") == AIDER:
        return
    uv = shutil.which("uv") or str(ROOT / ".bootstrap" / "bin" / "uv")
    print("Installing Aider from PyPI ...", flush=True)
    subprocess.run((uv, "venv", "-q", "--clear", "--python", "3.11", str(PYTHON_BIN.parent)), check=True)
    subprocess.run((uv, "pip", "install", "-q", "--python", str(PYTHON_BIN / "python"), AIDER), check=True)
    kept.write_text(AIDER, encoding="utf-8")
