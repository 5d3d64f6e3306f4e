"""What stops `switchyard up` before anything is started, and what it writes down once all is ready."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import banner, up
from deploy.local.first_run import FirstRun
from deploy.local.local_file import LocalFile
from deploy.local.ports import pick_free_ports
from deploy.local.surroundings import LocalSettings, StoreUrls, read_local_settings

FIRST_RUN = FirstRun("admin@example.com", "hush-hush", "syapi_x", "sypat_x", "sypod_x")
STORES = StoreUrls("postgresql://d", "redis://r", "redis://c")
KEYS_OF_LOCAL_JSON = {
    "console_url", "gateway_url", "pod_admin_urls", "grpc_address", "simulated_provider_url", "database_url",
    "redis_url", "counters_url", "admin_email", "admin_password", "api_token", "virtual_key", "pids",
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    names = ("CONSOLE_PORT", "GRPC_PORT", "GATEWAY_PORT", "SIMULATED_PROVIDER_PORT", "POD_ADMIN_PORT")
    ports = pick_free_ports(len(names))
    chosen = {f"SWITCHYARD_{name}": str(port) for name, port in zip(names, ports, strict=True)}
    return read_local_settings({**chosen, "SWITCHYARD_HOME": str(tmp_path / "home"), "SWITCHYARD_PODS": "1"})


def test_nothing_is_in_the_way_on_a_sound_machine(settings: LocalSettings) -> None:
    up.check_machine(settings)


def test_every_taken_port_is_told_with_its_setting(settings: LocalSettings) -> None:
    with socket.socket() as console, socket.socket() as gateway:
        for server, port in ((console, settings.console_port), (gateway, settings.gateway_port)):
            server.bind(("127.0.0.1", port))
            server.listen()
        with pytest.raises(up.CannotStart) as failure:
            up.check_machine(settings)
    told = str(failure.value)
    assert f"port {settings.console_port} is taken" in told
    assert "SWITCHYARD_CONSOLE_PORT" in told
    assert "SWITCHYARD_GATEWAY_PORT" in told
    assert "SWITCHYARD_GRPC_PORT" not in told


def test_a_full_disk_is_told_before_anything_starts(settings: LocalSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "free_bytes", lambda _: 499_000_000)
    with pytest.raises(up.CannotStart, match=r"only 499 MB are free .* SWITCHYARD_HOME"):
        up.check_machine(settings)


def test_pods_need_as_many_admin_ports(tmp_path: Path) -> None:
    settings = read_local_settings({"SWITCHYARD_POD_ADMIN_PORT": "65535", "SWITCHYARD_HOME": str(tmp_path)})
    with pytest.raises(up.CannotStart, match="SWITCHYARD_POD_ADMIN_PORT: 65536 is no port"):
        up.check_machine(settings)


def test_a_home_has_one_owner(settings: LocalSettings) -> None:
    already_up = pytest.raises(up.CannotStart, match=r"already up on .* \(process \d+\)")
    with up._sole_owner(settings), already_up, up._sole_owner(settings):
        raise AssertionError("never entered")
    with up._sole_owner(settings):
        assert settings.home.is_dir()


def test_a_home_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = read_local_settings({"SWITCHYARD_HOME": str(tmp_path / "file" / "home")})
    with pytest.raises(up.CannotStart, match="cannot be written"), up._sole_owner(settings):
        raise AssertionError("never entered")


def test_wrong_settings_end_the_command_by_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.command", "up"],
        env={"PATH": "/usr/bin:/bin", "SWITCHYARD_PODS": "many", "SWITCHYARD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "SWITCHYARD_PODS: 'many' is no whole number (pods)" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_local_file_tells_scripts_everything(settings: LocalSettings, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    LocalFile(path, settings, STORES, FIRST_RUN).write({"web": 7})
    told = json.loads(path.read_text())
    assert set(told) == KEYS_OF_LOCAL_JSON
    assert told["pids"] == {"web": 7}
    assert told["gateway_url"] == f"http://127.0.0.1:{settings.gateway_port}"
    assert told["grpc_address"] == f"127.0.0.1:{settings.grpc_port}"
    assert told["virtual_key"] == "sypat_x"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_banner_says_where_and_with_which_key(settings: LocalSettings) -> None:
    told = banner.text(settings, FIRST_RUN, {}, 31.2, is_first=True)
    assert told.splitlines()[1] == "Switchyard is up                               (first start 31 s)"
    assert f"  Console    {settings.console_url}     admin@example.com  /  hush-hush" in told
    assert f"  Gateway    {settings.gateway_url}     key  sypat_x  (one pod)" in told
    assert f"ANTHROPIC_BASE_URL={settings.gateway_url} ANTHROPIC_AUTH_TOKEN=sypat_x claude" in told
    assert "set ANTHROPIC_API_KEY / OPENAI_API_KEY / GEMINI_API_KEY before `make up`" in told
    again = banner.text(settings, FIRST_RUN, {"OPENAI_API_KEY": "sk-x"}, 9, is_first=False)
    assert "(start 9 s)" in again
    assert "keys of this shell: OPENAI_API_KEY" in again
    assert "sk-x" not in again
