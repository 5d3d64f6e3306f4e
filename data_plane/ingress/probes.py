"""Alive, ready, started; metrics on the admin port only.

Readiness depends on what this pod alone can mend: a verified policy, a writable spool, not draining. What is out of
reach (control plane, counter store) is named in the body and never makes a pod unready, because taking all pods out of
rotation would turn a blip into an outage.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson
from aiohttp import web

from switchyard_contract.audit_head import SignedHead, write_head

PATHS = frozenset({"/healthz", "/readyz", "/startupz"})


@dataclass(frozen=True, slots=True)
class Health:
    """What the pod knows of itself at this moment."""

    has_policy: bool
    has_spool: bool
    is_draining: bool
    has_started: bool
    degraded: tuple[str, ...]
    """What is out of reach: `control_plane_unreachable`, `counters_unreachable`, `spool_nearly_full` ..."""
    pod_id: str
    version: str
    policy_versions: tuple[tuple[str, int, int], ...]
    """(shard, epoch, version) of everything held."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Why the pod is not ready; empty when it is."""
        found = []
        if not self.has_policy:
            found.append("no_verified_policy")
        if not self.has_spool:
            found.append("spool_not_writable")
        if self.is_draining:
            found.append("draining")
        return tuple(found)


def answer_probe(path: str, health: Health) -> web.Response:
    """Answer one of PATHS."""
    if path == "/healthz":
        return _json(200, {"status": "alive", "pod": health.pod_id})
    if path == "/startupz":
        return _json(200 if health.has_started else 503, {"status": "started" if health.has_started else "starting"})
    missing = health.missing
    return _json(
        503 if missing else 200,
        {
            "status": "not_ready" if missing else "degraded" if health.degraded else "ready",
            "missing": list(missing),
            "degraded": list(health.degraded),
            "pod": health.pod_id,
            "version": health.version,
            "shards": {shard: f"{epoch}.{version}" for shard, epoch, version in health.policy_versions},
        },
    )


def make_admin_application(
    health: Callable[[], Health],
    render_metrics: Callable[[], bytes],
    audit_heads: Callable[[], Iterable[SignedHead]] = tuple,
) -> web.Application:
    """The admin port: probes, Prometheus, and what the pod witnessed of the audit chains."""

    async def probe(request: web.Request) -> web.Response:
        return answer_probe(request.path, health())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render_metrics(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def witnessed(_request: web.Request) -> web.Response:
        # The lines of the heads' file, so that `switchyard verify-audit --heads` reads either.
        lines = b"".join(orjson.dumps(write_head(head)) + b"\n" for head in audit_heads())
        return web.Response(body=lines, content_type="application/jsonl")

    application = web.Application()
    application.add_routes([web.get("/audit-heads", witnessed)])
    application.add_routes([web.get(path, probe) for path in sorted(PATHS)])
    application.add_routes([web.get("/metrics", metrics)])
    return application


def _json(status: int, value: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
