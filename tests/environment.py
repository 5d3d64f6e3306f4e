"""The environment of the tests: settings of a throw-away installation whose engines may not run yet.

Django reads its settings when pytest starts, long before a test asks for a database. So the ports are chosen first,
and the engines start when the first test wants them. What the caller's shell holds is always overwritten: a test
must never reach a real database.

`python -m tests.environment <command> ...` runs a command in such an environment (the type checker loads Django).
"""

import os
import sys
from dataclasses import dataclass

from deploy.local.installation import Installation, new_installation
from deploy.local.ports import pick_free_ports


@dataclass(frozen=True, slots=True)
class TestPlaces:
    """Where the engines of this test process will listen, and the secrets of its installation."""

    __test__ = False

    installation: Installation
    postgresql_port: int
    broker_port: int
    counters_port: int

    def settings(self) -> dict[str, str]:
        """Give every setting without which a plane would not start."""
        passwords = self.installation.passwords
        return {
            **self.installation.secrets,
            "SWITCHYARD_DEPLOYMENT_ID": self.installation.deployment_id,
            "DATABASE_URL": f"postgresql://switchyard:{passwords['postgresql']}@127.0.0.1:{self.postgresql_port}/switchyard",
            "REDIS_URL": f"redis://:{passwords['broker']}@127.0.0.1:{self.broker_port}/0",
            "COUNTERS_URL": f"redis://:{passwords['counters']}@127.0.0.1:{self.counters_port}/0",
            "SWITCHYARD_SECURE_COOKIES": "false",
            "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
        }


def choose_places() -> TestPlaces:
    return TestPlaces(new_installation(), *pick_free_ports(3))


def install(places: TestPlaces) -> None:
    """Put the settings into this process, in place of whatever was there."""
    for name in [name for name in os.environ if name.startswith("SWITCHYARD_")]:
        del os.environ[name]
    os.environ.update(places.settings())


if __name__ == "__main__":
    install(choose_places())
    os.execvp(sys.argv[1], sys.argv[1:])
