"""Several pods under one command: each a pod of its own."""

import pytest

from deploy.pod_processes import pod_services
from switchyard_contract.settings import InvalidSettings

ENVIRONMENT = {
    "SWITCHYARD_DEPLOYMENT_ID": "d",
    "COUNTERS_URL": "redis://h",
    "SWITCHYARD_VERIFY_KEYS": "k",
    "SWITCHYARD_POD_TOKEN": "t",
    "SWITCHYARD_POD_PROCESSES": "3",
    "SWITCHYARD_POD_STATE": "/state",
    "SWITCHYARD_POD_ADMIN_PORT": "9200",
    "SWITCHYARD_DRAIN_SECONDS": "40",
}


def test_each_has_its_own_state_admin_port_and_id() -> None:
    programs = [service.program for service in pod_services({**ENVIRONMENT, "SWITCHYARD_POD_ID": "box"})]
    assert [program.name for program in programs] == ["pod-1", "pod-2", "pod-3"]
    names = ("SWITCHYARD_POD_STATE", "SWITCHYARD_POD_ADMIN_PORT", "SWITCHYARD_POD_ID", "SWITCHYARD_POD_PROCESSES")
    assert [tuple(program.environment[name] for name in names) for program in programs] == [
        ("/state/process-1", "9200", "box-1", "1"),
        ("/state/process-2", "9201", "box-2", "1"),
        ("/state/process-3", "9202", "box-3", "1"),
    ]
    assert {program.stop_grace_s for program in programs} == {55}, "a pod may drain before it is killed"


def test_without_an_id_each_makes_its_own() -> None:
    assert all("SWITCHYARD_POD_ID" not in service.program.environment for service in pod_services(ENVIRONMENT))


def test_wrong_settings_stop_the_start_of_all() -> None:
    with pytest.raises(InvalidSettings):
        pod_services({**ENVIRONMENT, "SWITCHYARD_POD_PROCESSES": "0"})
    with pytest.raises(InvalidSettings, match="SWITCHYARD_POD_ADMIN_PORT"):
        pod_services({**ENVIRONMENT, "SWITCHYARD_POD_ADMIN_PORT": "65534"})
