"""How many usage events the control plane takes in: gRPC intake, inbox, workers, ledger and all roll-ups. `--help`.

    python -m tests.load.ingest [--events 300000] [--rate 0] [--workers 2] [--pods 8] [--warm 0] [--durable] [--replay]
                                [--setting shared_buffers=512MB ...]

Everything runs on this machine, PostgreSQL included. Batches are written before the clock starts and sent the way pods
send them: 500 events each, a stream per pod, a few batches ahead of the receipts. rate 0: as fast as receipts come.
Events are shaped like coding agents' traffic: 20 organizations, thousands of people of whom some are very busy,
sessions that go on, tags of 300 repositories, what was decided and charged on part of the events.

Printed: events a second from the first batch sent to the last event visible in the ledger; from when a batch was sent
to when its last event could be read by others; CPU seconds per 1,000 events of intake, workers and PostgreSQL, which
say more than the rate where the machine is shared. What sending and looking cost on the same cores is told apart.
With a rate, events_per_s cannot reach it, because the time until the last event is visible counts too: the rate is kept
up with where sent_per_s is the rate and the delays of the last third of the batches are those of the first.
warm: so many events are booked before the clock starts. An empty database is slower: every sum is a new row, every tag
is registered, and nothing has been planned or looked up yet.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

from deploy.local.engines import Engines
from deploy.local.ports import pick_free_ports
from deploy.local.postgresql import Postgresql
from tests.environment import TestPlaces, choose_places, install

ORGANIZATIONS = 20
BATCH = 500
AHEAD = 4
"""Batches that a pod has under way without a receipt."""
POLL_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")
MODELS = (
    ("claude-opus-4-7", 63, "anthropic"),
    ("claude-opus-4-6", 12, "anthropic"),
    ("claude-haiku-4-5", 8, "anthropic"),
    ("claude-sonnet-4-5", 8, "anthropic"),
    ("gpt-5.5", 5, "openai"),
    ("gpt-5.4", 4, "openai"),
)


@dataclass(frozen=True, slots=True)
class Person:
    organization_id: str
    team_id: str
    principal_id: str
    key_id: str
    client: str
    repository: str
    is_charged: bool


def people(count: int, chance: random.Random) -> list[Person]:
    organizations = [UUID(int=chance.getrandbits(128)).hex for _ in range(ORGANIZATIONS)]
    teams = {each: [UUID(int=chance.getrandbits(128)).hex for _ in range(25)] for each in organizations}
    found = []
    for number in range(count):
        organization_id = organizations[min(int(chance.expovariate(0.25)), ORGANIZATIONS - 1)]
        found.append(
            Person(
                organization_id,
                chance.choice(teams[organization_id]),
                UUID(int=chance.getrandbits(128)).hex,
                f"Key{number:09d}",
                chance.choices(("claude-code", "codex", "opencode", "cline"), (60, 25, 10, 5))[0],
                f"repository-{chance.randrange(300)}",
                number % 3 == 0,
            )
        )
    return found


def batches_of(persons: Sequence[Person], events: int, pods: int, chance: random.Random) -> Iterator[tuple[int, Any]]:
    """Batches of all pods in turn: the pod's number and the batch."""
    from switchyard_contract.v1 import usage_pb2
    from tests.control_plane.usage.charges import a_budget_number, a_charge, a_rate, a_rule_seen, an_answer
    from tests.control_plane.usage.events import an_event, an_exchange_id

    weights = [1 / (rank + 1) ** 0.8 for rank in range(len(persons))]
    names, shares, vendors = zip(*MODELS, strict=True)
    providers = {vendor: UUID(int=chance.getrandbits(128)).hex for vendor in vendors}
    vendor_of = dict(zip(names, vendors, strict=True))
    answer = an_answer([a_rate()], [a_budget_number()])
    now_ms = int(time.time() * 1000)
    written = [0] * pods
    for batch in range(max(1, events // BATCH)):
        pod = batch % pods
        chosen = chance.choices(persons, weights, k=BATCH)
        models = chance.choices(names, shares, k=BATCH)
        made = []
        for place, (person, model) in enumerate(zip(chosen, models, strict=True)):
            written[pod] += 1
            at = datetime.fromtimestamp((now_ms - chance.randrange(2000)) / 1000, UTC)
            event = an_event(
                batch * BATCH + place + 1,
                at=at,
                exchange_id=an_exchange_id(batch * BATCH + place + 1, at),
                organization_id=person.organization_id,
                team_id=person.team_id,
                principal_id=person.principal_id,
                key_id=person.key_id,
                client=person.client,
                session_id=f"{person.key_id}-{chance.randrange(2)}",
                agent_id="explorer" if chance.random() < 0.15 else "",
                model=model,
                requested_model=model,
                vendor=vendor_of[model],
                provider_id=providers[vendor_of[model]],
                provider_name=f"{vendor_of[model]}-main",
                tags={"environment": "dev"},
                request_tags={"repository": person.repository},
                pod_id=f"pod-{pod}",
                tokens=usage_pb2.Tokens(
                    input_fresh=int(chance.lognormvariate(6.7, 1.4)),
                    cache_read=int(chance.lognormvariate(11.6, 0.8)),
                    cache_write_5m=int(chance.lognormvariate(6, 1)),
                    output=int(chance.lognormvariate(5.5, 1.1)),
                ),
                first_token_us=int(chance.lognormvariate(13.6, 0.6)),
                duration_us=int(chance.lognormvariate(15.5, 0.9)),
                gateway_us=int(chance.lognormvariate(6.8, 0.4)),
                cost_nano_usd=int(chance.lognormvariate(18.1, 0.9)),
                request_bytes=int(chance.lognormvariate(13, 0.7)),
                response_bytes=int(chance.lognormvariate(8.5, 0.7)),
                upstream_request_id=f"req_{chance.getrandbits(96):024x}",
                saved_cache_nano_usd=int(chance.lognormvariate(18, 0.9)),
            )
            outcome = chance.random()
            if outcome < 0.015:
                event.outcome, event.upstream_status, event.client_status = usage_pb2.OUTCOME_FAILED, 529, 529
            elif outcome < 0.03:
                event.outcome = usage_pb2.OUTCOME_CANCELLED
            if person.is_charged:
                budget = UUID(person.organization_id)
                event.rules.rules.append(a_rule_seen(budget))
                event.charges.append(a_charge(budget, f"user:{person.principal_id}"))
                event.counters_answer = answer
                event.session_facts.turn = chance.randrange(90)
            made.append(usage_pb2.SequencedEvent(sequence=written[pod], event=event))
        yield pod, usage_pb2.UsageBatch(pod_id=f"pod-{pod}", boot_id=b"boot-%d" % pod, events=made)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def children_of(pid: int) -> list[int]:
    return [
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    ]


def cpu_of_tree(pid: int) -> float:
    """The same, with all below it. A child that ends meanwhile is counted by its parent, or at the next look."""
    used = 0.0
    for child in children_of(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            used += cpu_of_tree(child)
    return used + cpu_of(pid)


def _django() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "control_plane.project.settings.test"
    import django

    django.setup()


def run_intake(port: int) -> None:
    """The gRPC process, with nothing but the intake in it."""
    _django()
    import grpc
    from django.conf import settings

    from control_plane.usage.inbox import PostgresInbox
    from control_plane.usage.intake import UsageIntakeServicer
    from switchyard_contract.v1 import usage_pb2_grpc

    async def anybody(_: object) -> object:
        return object()

    async def serve() -> None:
        async with PostgresInbox(settings.DATABASES["default"]) as inbox:
            server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)])
            servicer = UsageIntakeServicer(inbox=inbox, authenticate=anybody, stored=lambda: None)
            usage_pb2_grpc.add_UsageIntakeServicer_to_server(servicer, server)
            server.add_insecure_port(f"127.0.0.1:{port}")
            await server.start()
            print("ready", flush=True)
            await server.wait_for_termination()

    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve())


def run_worker(profile: str) -> None:
    """What a Celery worker does when it is hinted at: a hint comes within 50 ms of a batch."""
    _django()
    import cProfile
    import signal

    from django.conf import settings
    from django.utils import timezone

    from control_plane.usage.aggregation import book_waiting

    is_over = False

    def stop(*_: object) -> None:
        nonlocal is_over
        is_over = True

    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    profiler = cProfile.Profile() if profile else None
    if profiler:
        profiler.enable()
    claims: list[int] = []
    while not is_over:
        booked = book_waiting(now=timezone.now(), ledger_days=settings.SWITCHYARD.ledger_days, most_claims=1)
        if booked.batches:
            claims.append(booked.events)
        else:
            time.sleep(0.02)
    print(json.dumps(claims))
    if profiler:
        profiler.disable()
        profiler.dump_stats(profile)


@dataclass(slots=True)
class Sent:
    """When batches went out, by the id of their last event; and when that was read first."""

    at: dict[str, float]
    seen: dict[str, float]
    looking_s: float = 0.0
    """CPU seconds of PostgreSQL that went into looking."""


async def send(port: int, streams: Sequence[list[tuple[bytes, str]]], rate: int, sent: Sent) -> None:
    import grpc

    interval_s = BATCH * len(streams) / rate if rate else 0.0

    async def stream(number: int, batches: list[tuple[bytes, str]]) -> None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        report = channel.stream_stream(
            "/switchyard_contract.v1.UsageIntake/Report",
            request_serializer=lambda payload: payload,
            response_deserializer=lambda payload: payload,
        )
        room = asyncio.Semaphore(AHEAD)
        begun = time.perf_counter() + interval_s * number / len(streams)

        async def reports() -> AsyncIterator[bytes]:
            for place, (payload, last) in enumerate(batches):
                await room.acquire()
                if interval_s:
                    await asyncio.sleep(max(0.0, begun + place * interval_s - time.perf_counter()))
                sent.at[last] = time.perf_counter()
                yield payload

        call = report(reports())
        async for _ in call:
            room.release()
        await channel.close()

    await asyncio.gather(*(stream(number, batches) for number, batches in enumerate(streams)))


async def watch(url: str, sent: Sent, markers: int, processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Look which batches can be read, until all can. Raises RuntimeError when a process that is needed has ended."""
    import psycopg

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        looking = connection.info.backend_pid
        days = [datetime.now(UTC).date()]
        while len(sent.seen) < markers:
            waiting = [each for each in sent.at if each not in sent.seen]
            if waiting:
                cursor = await connection.execute(
                    "SELECT exchange_id FROM usage_ledger WHERE day = ANY(%s) AND exchange_id = ANY(%s)",
                    (days, waiting),
                )
                now = time.perf_counter()
                sent.seen.update((row[0], now) for row in await cursor.fetchall())
            if any(process.poll() is not None for process in processes):
                raise RuntimeError("intake or a worker has ended; its words are above")
            await asyncio.sleep(POLL_S)
        sent.looking_s = cpu_of(looking)


def spawn(*arguments: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.load.ingest", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{arguments[0]} did not start")
    return process


def measure(chosen: argparse.Namespace, places: TestPlaces, server: int) -> dict[str, Any]:
    _django()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    from control_plane.organizations.models import Organization

    chance = random.Random(5)
    persons = people(chosen.people, chance)
    Organization.objects.bulk_create(
        Organization(id=UUID(each), slug=f"o{each[:12]}", name=each[:12])
        for each in sorted({person.organization_id for person in persons})
    )
    warming: list[list[tuple[bytes, str]]] = [[] for _ in range(chosen.pods)]
    streams: list[list[tuple[bytes, str]]] = [[] for _ in range(chosen.pods)]
    size = 0
    warm = chosen.warm // BATCH
    for place, (pod, batch) in enumerate(batches_of(persons, chosen.warm + chosen.events, chosen.pods, chance)):
        payload = batch.SerializeToString()
        size += len(payload)
        (warming if place < warm else streams)[pod].append((payload, batch.events[-1].event.exchange_id))
    count, before = (sum(map(len, each)) * BATCH for each in (streams, warming))
    print(f"{count:,} events of {size / (count + before):.0f} bytes are ready", file=sys.stderr, flush=True)
    (port,) = pick_free_ports(1)
    intake = spawn("intake", str(port))
    workers = [spawn("worker", f"{chosen.profile}.{n}" if chosen.profile else "") for n in range(chosen.workers)]
    found: dict[str, Any] = {}
    try:
        if before:
            _run(warming, before, port, 0, places, server, intake, workers)
        for run in ("new", "replayed") if chosen.replay else ("new",):
            found[run] = _run(streams, count, port, chosen.rate, places, server, intake, workers)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(cost_nano_usd) FROM usage_ledger")
            rows, cost = cursor.fetchone()
            sums = {}
            for table in ("usagehour", "usageday", "teamminute", "teamhour", "teamday"):
                cursor.execute(f"SELECT sum(requests), sum(cost_nano_usd), count(*) FROM usage_{table}")
                sums[table] = cursor.fetchone()
        found["rows"] = rows
        found["books_agree"] = rows == count + before and all(
            (each[0], each[1]) == (rows, cost) for each in sums.values()
        )
        found["rollup_rows"] = {table: each[2] for table, each in sums.items()}
    finally:
        for process in (*workers, intake):
            process.terminate()
        told = [process.communicate(timeout=30)[0] for process in (*workers, intake)]
    claims = sorted(size for each in told[:-1] for size in json.loads(each))
    found["events_of_claims"] = {f"p{part}": claims[len(claims) * part // 100] for part in (10, 50, 90)}
    return found


def _run(
    streams: Sequence[list[tuple[bytes, str]]],
    count: int,
    port: int,
    rate: int,
    places: TestPlaces,
    server: int,
    intake: "subprocess.Popen[str]",
    workers: Sequence["subprocess.Popen[str]"],
) -> dict[str, Any]:
    from django.db import connection

    def used_cpu() -> tuple[float, ...]:
        booking = sum(cpu_of(worker.pid) for worker in workers)
        return (cpu_of(intake.pid), booking, cpu_of_tree(server), cpu_of(os.getpid()))

    sent = Sent({}, {})
    before = used_cpu()
    begun = time.perf_counter()

    async def both() -> None:
        watching = watch(places.settings()["DATABASE_URL"], sent, sum(map(len, streams)), [intake, *workers])
        await asyncio.gather(send(port, streams, rate, sent), watching)

    asyncio.run(both())
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM usage_inboxbatch")
            if cursor.fetchone() == (0,):
                break
            time.sleep(POLL_S)
    taken = time.perf_counter() - begun
    after = used_cpu()
    spent = [late - early for early, late in zip(before, after, strict=True)]
    spent[2] -= sent.looking_s
    spent[3] += sent.looking_s
    used = [round(each / count * 1000, 4) for each in spent]
    at = sorted(sent.at, key=sent.at.__getitem__)
    delays = [sent.seen[each] - sent.at[each] for each in at]
    cuts = quantiles(delays, n=100)
    third = len(delays) // 3
    return {
        "events_per_s": round(count / taken),
        "sent_per_s": round((len(at) - 1) * BATCH / (sent.at[at[-1]] - sent.at[at[0]])),
        "visible_s": {
            **{f"p{part}": round(cuts[part - 1], 2) for part in (50, 90, 99)},
            "p99_of_thirds": [
                round(quantiles(delays[first : first + third], n=100)[98], 2) for first in (0, third, 2 * third)
            ],
        },
        "cpu_s_per_1000": {
            **dict(zip(("intake", "workers", "postgresql"), used[:3], strict=True)),
            "all": round(sum(used[:3]), 4),
            "sending_and_looking": used[3],
        },
    }


def main() -> int:
    if sys.argv[1:2] == ["intake"]:
        run_intake(int(sys.argv[2]))
        return 0
    if sys.argv[1:2] == ["worker"]:
        run_worker(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--people", type=int, default=4_000)
    parser.add_argument("--pods", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=0, help="events a second; 0: as fast as receipts come")
    parser.add_argument("--warm", type=int, default=0, help="events that are booked before the clock starts")
    parser.add_argument("--replay", action="store_true", help="send everything a second time: nothing may change")
    parser.add_argument("--durable", action="store_true", help="PostgreSQL flushes to disk, as in production")
    parser.add_argument("--setting", action="append", default=[], help="of PostgreSQL: name=value")
    parser.add_argument("--profile", default="", help="a file that each worker's profile begins with")
    chosen = parser.parse_args()
    places = choose_places()
    install(places)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o711)
        password = places.installation.passwords["postgresql"]
        engine = Postgresql(
            home,
            home / "postgresql.log",
            places.postgresql_port,
            password,
            durable=chosen.durable,
            settings=dict(each.split("=", 1) for each in chosen.setting),
        )
        engines = Engines([engine])
        with engines:
            found = measure(chosen, places, engines._running[0].process.pid)
    print(json.dumps(found, indent=2))
    return 0 if found["books_agree"] else 1


if __name__ == "__main__":
    sys.exit(main())
