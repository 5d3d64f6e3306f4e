"""`local.json`: where everything is, for scripts and checks. Present only while the platform is up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.first_run import FirstRun
from deploy.local.private_file import write_private
from deploy.local.surroundings import LocalSettings, StoreUrls

NAME = "local.json"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Written whole at each change, mode 0600: it holds keys."""

    path: Path
    settings: LocalSettings
    stores: StoreUrls
    first_run: FirstRun

    def write(self, process_ids: Mapping[str, int]) -> None:
        content = {
            "console_url": self.settings.console_url,
            "gateway_url": self.settings.gateway_url,
            "pod_admin_urls": list(self.settings.pod_admin_urls),
            "grpc_address": self.settings.grpc_address,
            "simulated_provider_url": self.settings.simulated_provider_url,
            "database_url": self.stores.database_url,
            "redis_url": self.stores.redis_url,
            "counters_url": self.stores.counters_url,
            "admin_email": self.first_run.admin_email,
            "admin_password": self.first_run.admin_password,
            "api_token": self.first_run.api_token,
            "virtual_key": self.first_run.virtual_key,
            "pids": dict(process_ids),
        }
        write_private(self.path, json.dumps(content, indent=2) + "\n")
