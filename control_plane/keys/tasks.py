"""Sweeps over keys."""

import redis
import structlog
from celery import shared_task

from control_plane.keys.services import tombstones_repair

log = structlog.get_logger()


@shared_task(name="keys.tombstones_sweep")
def sweep_tombstones() -> None:
    """Write the tombstones that the counter store lacks."""
    try:
        repaired = tombstones_repair()
    except redis.RedisError as failure:
        log.warning("the counter store is out of reach", why=type(failure).__name__)
        return
    if repaired:
        log.info("tombstones repaired", keys=repaired)
