"""What an installation needs before its first pod: prices, and signed shards."""

import structlog

from control_plane.audit.services import Actor
from control_plane.catalog.services import list_prices_load
from control_plane.snapshots.services import everything_compile

log = structlog.get_logger()


def prepare_installation() -> None:
    """Load this release's price book and publish whatever is open, missing or sealed with an old key."""
    report = list_prices_load(actor=Actor.system("migration"))
    everything_compile()
    log.info("price book loaded", added=report.added, superseded=report.superseded, total=report.total)
