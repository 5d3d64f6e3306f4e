"""Sweeps over keys."""

import redis
import structlog
from celery import shared_task

from control_plane.keys.services import tombstones_repair
from control_plane.keys.services.notices import notices_mail, notices_write

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


@shared_task(name="keys.notices")
def tell_of_ending_keys() -> None:
    """Note which keys end soon, and mail whoever must know."""
    noted, mailed = notices_write(), notices_mail()
    if noted or mailed:
        log.info("told of keys that end soon", noted=noted, mailed=mailed)
