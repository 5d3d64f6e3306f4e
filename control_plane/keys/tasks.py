"""Sweeps over keys."""

import logging

import redis
from celery import shared_task

from control_plane.keys.services import tombstones_repair

log = logging.getLogger(__name__)


@shared_task(name="keys.tombstones_sweep")
def sweep_tombstones() -> None:
    """Write the tombstones that the counter store lacks."""
    try:
        repaired = tombstones_repair()
    except redis.RedisError as failure:
        log.warning("the counter store is out of reach: %s", type(failure).__name__)
        return
    if repaired:
        log.info("tombstones repaired: %d", repaired)
