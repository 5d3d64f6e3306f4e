"""What each process finds in its environment: its own plane's settings, and nothing of the other's."""

from pathlib import Path

import pytest

from deploy.local.installation import Installation, open_installation
from deploy.local.stores import choose_stores
from deploy.local.surroundings import (
    LocalSettings,
    StoreUrls,
    control_environment,
    dialled,
    plain_environment,
    pod_environment,
    read_local_settings,
)
from switchyard_contract.settings import SETTINGS, InvalidSettings, read_settings

STORES = StoreUrls("postgresql://u:p@h/d", "redis://h:1/0", "redis://h:2/0")
SHELL = {
    "PATH": "/usr/bin",
    "HTTPS_PROXY": "http://proxy:3128",
    "ANTHROPIC_API_KEY": "sk-ant-real",
    "SWITCHYARD_MAX_BODY": "4096",
    "SWITCHYARD_WEB_THREADS": "9",
}


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return read_local_settings({"SWITCHYARD_HOME": str(tmp_path), "SWITCHYARD_PODS": "2"})


@pytest.fixture
def installation(settings: LocalSettings) -> Installation:
    made = open_installation(settings.secrets_folder)
    (settings.secrets_folder / "pod-token").write_text("sypod_x")
    return made


def test_the_control_plane_can_start_with_what_it_gets(settings: LocalSettings, installation: Installation) -> None:
    values = read_settings("control", control_environment(settings, STORES, installation, SHELL))
    assert values["DATABASE_URL"] == STORES.database_url
    assert values["SWITCHYARD_PEPPER"] == installation.secrets["SWITCHYARD_PEPPER"]
    assert values["SWITCHYARD_SECURE_COOKIES"] is False
    assert values["SWITCHYARD_PRIVATE_NETWORKS"] == ("127.0.0.0/8",)
    assert values["SWITCHYARD_WEB_THREADS"] == 9
    assert values["SWITCHYARD_GATEWAY_PUBLIC_URL"] == "http://127.0.0.1:8080"


def test_a_pod_can_start_with_what_it_gets(settings: LocalSettings, installation: Installation) -> None:
    values = read_settings("data", pod_environment(settings, STORES, installation, SHELL, 1))
    assert values["SWITCHYARD_POD_ID"] == "local-2"
    assert values["SWITCHYARD_POD_ADMIN_PORT"] == 9101
    assert values["SWITCHYARD_POD_STATE"] == str(settings.home / "pods" / "local-2")
    assert values["SWITCHYARD_VERIFY_KEYS"] == installation.secrets["SWITCHYARD_VERIFY_KEYS"]
    assert values["SWITCHYARD_POD_TOKEN"] == "sypod_x"
    assert values["SWITCHYARD_MAX_BODY"] == 4096


def test_a_pod_finds_nothing_of_the_control_plane(settings: LocalSettings, installation: Installation) -> None:
    shell = {**SHELL, "DATABASE_URL": "postgresql://elsewhere", "SWITCHYARD_SIGNING_KEY_FILE": "/run/secret"}
    found = pod_environment(settings, STORES, installation, shell, 0)
    foreign = {row.name for row in SETTINGS if "data" not in row.planes}
    assert {name for name in found if name.removesuffix("_FILE") in foreign} == set()
    assert "ANTHROPIC_API_KEY" not in found
    assert found["HTTPS_PROXY"] == "http://proxy:3128"


def test_no_secret_of_ours_shows_in_an_environment(settings: LocalSettings, installation: Installation) -> None:
    control = control_environment(settings, STORES, installation, SHELL)
    pod = pod_environment(settings, STORES, installation, SHELL, 0)
    shown = " ".join([*control.values(), *pod.values()])
    assert not [name for name, value in installation.secrets.items() if value in shown]


def test_a_process_of_neither_plane_finds_no_setting() -> None:
    assert plain_environment(SHELL) == {
        "PATH": "/usr/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "PYTHONUNBUFFERED": "1",
    }


def test_provider_keys_of_the_shell_may_be_named_by_credentials(
    settings: LocalSettings, installation: Installation
) -> None:
    shell = {**SHELL, "SWITCHYARD_CREDENTIAL_ENV": "TEAM_KEY", "OPENAI_API_KEY": ""}
    found = control_environment(settings, STORES, installation, shell)
    assert found["SWITCHYARD_CREDENTIAL_ENV"] == "TEAM_KEY,ANTHROPIC_API_KEY"
    assert found["ANTHROPIC_API_KEY"] == "sk-ant-real"


def test_what_the_person_set_wins(settings: LocalSettings, installation: Installation) -> None:
    shell = {
        "SWITCHYARD_PEPPER": "1:own",
        "SWITCHYARD_SHELF_KEY_FILE": "/run/shelf",
        "SWITCHYARD_GATEWAY_PUBLIC_URL": "https://ai.example.com",
        "SWITCHYARD_DRAIN_SECONDS": "60",
    }
    control = control_environment(settings, STORES, installation, shell)
    pod = pod_environment(settings, STORES, installation, shell, 0)
    assert control["SWITCHYARD_PEPPER"] == "1:own"
    assert "SWITCHYARD_PEPPER_FILE" not in control
    assert control["SWITCHYARD_GATEWAY_PUBLIC_URL"] == "https://ai.example.com"
    assert pod["SWITCHYARD_SHELF_KEY_FILE"] == "/run/shelf"
    assert pod["SWITCHYARD_DRAIN_SECONDS"] == "60"


def test_pods_give_memory_back(settings: LocalSettings, installation: Installation) -> None:
    found = pod_environment(settings, STORES, installation, SHELL, 0)
    assert (found["MALLOC_MMAP_THRESHOLD_"], found["MALLOC_TRIM_THRESHOLD_"]) == ("67108864", "268435456")


def test_processes_of_a_pod_command_are_pods_of_their_own() -> None:
    settings = read_local_settings({"SWITCHYARD_PODS": "2", "SWITCHYARD_POD_PROCESSES": "3"})
    assert settings.pods == 6
    assert settings.pod_admin_urls[-1] == "http://127.0.0.1:9105"
    names = [name for name, _, _ in settings.wanted_ports()]
    assert names.count("SWITCHYARD_POD_ADMIN_PORT") == 6


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("box.lan", "box.lan")],
)
def test_a_listener_on_every_address_is_dialled_on_this_machine(host: str, address: str) -> None:
    assert dialled(host) == address


def test_wrong_local_settings_are_all_named() -> None:
    with pytest.raises(InvalidSettings) as failure:
        read_local_settings({"SWITCHYARD_PODS": "0", "SWITCHYARD_GATEWAY_PORT": "http"})
    assert [text.partition(":")[0] for text in failure.value.problems] == ["SWITCHYARD_GATEWAY_PORT", "SWITCHYARD_PODS"]


@pytest.mark.parametrize(
    ("environment", "embedded", "are_shared"),
    [
        ({}, ["postgresql", "broker", "counters"], False),
        ({"DATABASE_URL": "postgresql://x"}, ["broker", "counters"], False),
        ({"REDIS_URL": "redis://x"}, ["postgresql"], True),
        ({"REDIS_URL": "redis://x", "COUNTERS_URL": "redis://x"}, ["postgresql"], True),
        ({"REDIS_URL": "redis://x", "COUNTERS_URL": "redis://y"}, ["postgresql"], False),
        ({"COUNTERS_URL": "redis://y"}, ["postgresql", "broker"], False),
        ({"DATABASE_URL": "", "REDIS_URL": ""}, ["postgresql", "broker", "counters"], False),
    ],
)
def test_a_store_that_is_named_is_not_started(
    tmp_path: Path, installation: Installation, environment: dict[str, str], embedded: list[str], are_shared: bool
) -> None:
    stores = choose_stores(environment, installation, tmp_path)
    assert [engine.program().name for engine in stores.embedded] == embedded
    assert stores.are_counters_shared is are_shared
    for name in ("DATABASE_URL", "REDIS_URL", "COUNTERS_URL"):
        if environment.get(name):
            assert getattr(stores.urls, name.lower()) == environment[name]
    if "COUNTERS_URL" not in environment and environment.get("REDIS_URL"):
        assert stores.urls.counters_url == environment["REDIS_URL"]
