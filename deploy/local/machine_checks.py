"""What the doctor checks on the machine itself."""

import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

from deploy.local.binaries import EngineMissing, find_postgresql, find_valkey
from deploy.local.findings import Finding, fine, problem, warning
from deploy.local.local_file import NAME as LOCAL_FILE_NAME
from deploy.local.ports import is_port_free
from deploy.local.readiness import free_bytes
from deploy.local.surroundings import LocalSettings

LEAST_GLIBC = (2, 28)
LEAST_DESCRIPTORS = 4096
LEAST_FREE_BYTES = 500_000_000
ROOMY_FREE_BYTES = 2_000_000_000


def check_machine(settings: LocalSettings) -> Iterator[Finding]:
    yield _python()
    yield _glibc(platform.libc_ver())
    yield _venv_module()
    yield _disk(settings)
    yield _descriptors(resource.getrlimit(resource.RLIMIT_NOFILE))
    yield from _engines()
    yield _home_is_ignored(settings)
    yield from _ports(settings)


def _python() -> Finding:
    seen = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return problem("Python", seen, "use Python 3.11, 3.12 or 3.13: PYTHON=/path/to/python3.11 make up")
    if not is_optimized(str(sysconfig.get_config_var("CONFIG_ARGS") or ""), sys.base_prefix):
        remedy = "pods and workers need up to a fifth more CPU: take your distribution's, or build with it"
        return warning("Python", f"{seen}, built without --enable-optimizations", remedy)
    return fine("Python", seen)


def is_optimized(built_with: str, prefix: str) -> bool:
    """Whether the interpreter was built by profile. A distribution's is, and does not always say so."""
    return prefix == "/usr" or not built_with or "--enable-optimizations" in built_with


def _glibc(told: tuple[str, str]) -> Finding:
    name, version = told
    if name != "glibc":
        if sys.platform == "darwin":
            return fine("C library", "macOS")
        remedy = "the embedded engines need glibc 2.28 or newer: use Debian or another glibc system, or set the URLs"
        return warning("C library", name or "not glibc", remedy)
    parts = tuple(int(part) for part in version.split(".")[:2])
    if parts < LEAST_GLIBC:
        return problem("C library", f"glibc {version}", "the wheels need glibc 2.28: a system of 2018 or later")
    return fine("C library", f"glibc {version}")


def _venv_module() -> Finding:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return fine("venv module", "there")
    # Nothing is broken now: this interpreter runs. The next `make up` on a fresh clone would need it.
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return warning("venv module", "missing", f"apt-get install python{version}-venv (a fresh clone needs it, or uv)")


def _disk(settings: LocalSettings) -> Finding:
    free = free_bytes(settings.home)
    seen = f"{free // 1_000_000} MB free below {settings.home}"
    remedy = "make room, or set SWITCHYARD_HOME to a folder on a larger disk"
    if free < LEAST_FREE_BYTES:
        return problem("disk", seen, remedy)
    if free < ROOMY_FREE_BYTES:
        return warning("disk", seen, remedy)
    return fine("disk", seen)


def _descriptors(limits: tuple[int, int]) -> Finding:
    soft, hard = limits
    if 0 <= hard < LEAST_DESCRIPTORS:
        return problem("open files", f"at most {hard}", f"ulimit -Hn {LEAST_DESCRIPTORS}: each stream needs two")
    if 0 <= soft < LEAST_DESCRIPTORS:
        return warning(
            "open files", f"{soft} (may be raised to {hard})", f"ulimit -n {LEAST_DESCRIPTORS} before the start"
        )
    return fine("open files", str(soft))


def _engines() -> Iterator[Finding]:
    try:
        yield fine("PostgreSQL", str(find_postgresql().bin))
    except EngineMissing as failure:
        yield warning("PostgreSQL", "no program here", str(failure))
    try:
        yield fine("Valkey", str(find_valkey()))
    except EngineMissing as failure:
        yield warning("Valkey", "no program here", str(failure))


def _home_is_ignored(settings: LocalSettings) -> Finding:
    home = settings.home
    existing = next(path for path in (home, *home.parents) if path.exists())
    try:
        asked = subprocess.run(
            ["git", "-C", str(existing), "check-ignore", "--quiet", f"{home}/"],  # noqa: S607 - whichever git is here
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return fine("home", f"{home} (git is not here to ask)")
    if asked.returncode == 1:
        return problem("home", f"{home} is not ignored by git", "it holds secrets: add it to .gitignore")
    return fine("home", str(home))


def _ports(settings: LocalSettings) -> Iterator[Finding]:
    if is_up(settings):
        yield fine("ports", "Switchyard is up on this home and holds them")
        return
    for name, host, port in settings.wanted_ports():
        if port > 65535:
            yield problem(f"port {port}", "is no port", f"lower {name}; one port is needed per pod")
        elif is_port_free(port, host):
            yield fine(f"port {port}", "free")
        else:
            yield problem(f"port {port}", "taken", f"stop what listens there, or set {name}")


def is_up(settings: LocalSettings) -> bool:
    """Say whether a platform runs on this home: its file is there and its web process lives."""
    try:
        running = json.loads((settings.home / LOCAL_FILE_NAME).read_text(encoding="utf-8"))
        os.kill(int(running["pids"]["web"]), 0)
    except (FileNotFoundError, PermissionError, ProcessLookupError, KeyError, ValueError):
        return False
    return True
