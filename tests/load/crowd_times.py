"""How the control plane does with a crowd: every page and list call, the snapshots, one revocation. `make crowd`.

    python -m tests.load.crowd_times [--keys 50000] [--users 5000] [--teams 500] [--repeat 15]
        [--keep-home DIR] [--only TEXT]

Prints the median, the 95th percentile, the CPU time here and in PostgreSQL, and the number of queries of each. Times
depend on the machine; the number of queries does not, and tests hold it (tests/control_plane/web/test_query_counts.py).
"""

import argparse
import gc
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from deploy.local.installation import open_installation
from deploy.local.ports import pick_free_ports
from tests.browser.screenshots import engines
from tests.environment import TestPlaces, choose_places, install

SLOW_MS = 500.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--teams", type=int, default=500)
    parser.add_argument("--exchanges", type=int, default=6_000)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the ledger, at least")
    parser.add_argument(
        "--drop", action="store_true", help="at the end, drop a month of the ledger and say how long it took"
    )
    parser.add_argument("--as-it-is", action="store_true", help="measure what the kept home has, and add nothing")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--keep-home", type=Path, help="a folder that keeps the crowd, so that it is made only once")
    parser.add_argument("--only", default="", help="measure only addresses with this text in them; 'snapshots': those")
    chosen = parser.parse_args()
    if chosen.keep_home is None:
        places = choose_places()
    else:
        places = TestPlaces(open_installation(chosen.keep_home / "secrets"), *pick_free_ports(3))
    install(places)
    with engines(places, chosen.keep_home):
        return _measure(chosen)


def _measure(chosen: argparse.Namespace) -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "control_plane.project.settings.test"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from tests.load.crowd import a_crowd, kept_crowd
    from tests.load.crowd_pages import lists, looks, pages

    begun = time.perf_counter()
    crowd = kept_crowd()
    if crowd is None:
        crowd = a_crowd(teams=chosen.teams, users=chosen.users, keys=chosen.keys, exchanges=chosen.exchanges)
        print(f"crowd of {chosen.keys} keys, {chosen.users} people, {chosen.teams} teams made in", end=" ")
        print(f"{time.perf_counter() - begun:.0f} s\n", flush=True)
    if not chosen.as_it_is:
        _fill(crowd, chosen.rows)
    with connection.cursor() as cursor:
        # What helpers of a query take would be missing in the CPU time.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    client = Client()
    client.force_login(crowd.owner)
    # What this process made to get here is no server's: the collector is not to look through it again and again.
    gc.collect()
    gc.freeze()
    slow = 0
    print(f"{'median':>8} {'p95':>8} {'CPU':>8} {'queries':>8}  address (ms)")
    for address in (*pages(), *looks(), *lists()):
        if chosen.only not in address:
            continue
        # Counted once and timed afterwards: a server keeps no log of its queries.
        with CaptureQueriesContext(connection) as queries:
            answer, _, _ = _ask(client, address)
        count = len(queries)
        connection.queries_log.clear()
        asked = [_ask(client, address) for _ in range(chosen.repeat)]
        times, cpu = [each[1] for each in asked], statistics.median(each[2] for each in asked)
        # Inclusive: of few times the other way reads beyond the slowest that there was.
        p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
        mark = "" if answer.status_code < 400 else f"  ANSWERED {answer.status_code}"
        if p95 > SLOW_MS:
            slow += 1
            mark += "  SLOW"
        print(f"{statistics.median(times):8.0f} {p95:8.0f} {cpu:8.0f} {count:8d}  {address}{mark}", flush=True)
    if chosen.only in "snapshots":
        _snapshots()
    if chosen.drop:
        _drop_a_month()
    print(f"\n{slow} above {SLOW_MS:.0f} ms")
    return 1 if slow else 0


def _fill(crowd: Any, rows: int) -> None:
    """See to it that the ledger has so many rows, and that everything that is worked out of rows is worked out."""
    from django.db import connection
    from django.utils import timezone

    from tests.load.crowd_standing import crowd_furnish, crowd_settle
    from tests.load.crowd_usage import usage_fill

    rules = crowd_furnish(crowd)
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM usage_ledger WHERE organization_id = %s", [crowd.organization.id])
            (there,) = cursor.fetchone()
        if there >= rows:
            break
        begun = time.perf_counter()
        usage_fill(crowd.organization.id, rows=rows - there, until=timezone.now(), rules=rules)
        print(f"{rows - there:,} rows of usage made in {time.perf_counter() - begun:.0f} s", flush=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    if crowd_settle(crowd):
        with connection.cursor() as cursor:
            # As autovacuum would have done in four weeks; it is off in an engine that is thrown away.
            cursor.execute("VACUUM (ANALYZE)")


def _drop_a_month() -> None:
    """The oldest thirty days that have a partition, a transaction each, as the job does it."""
    from datetime import timedelta

    from django.db import connection

    from control_plane.usage.partitions import existing_days, partitions_drop_before

    oldest = min(existing_days())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_ledger WHERE day < %s", [oldest + timedelta(days=30)])
        (rows,) = cursor.fetchone()
    begun = time.perf_counter()
    dropped = partitions_drop_before(oldest=oldest + timedelta(days=30))
    print(f"\n{len(dropped)} days with {rows:,} rows dropped in {time.perf_counter() - begun:.2f} s")


def _ask(client: Any, address: str) -> tuple[Any, float, float]:
    """The answer, how many milliseconds it took, and how many of a CPU here and in PostgreSQL.

    The second says more than the first where the machine is shared. Of a file that is streamed the beginning is timed:
    how long the rest takes is a matter of its length.
    """
    started, cpu = time.perf_counter(), _cpu_ms()
    answer = client.get(address)
    if answer.streaming:
        rows = iter(answer.streaming_content)
        next(rows, b"")
        next(rows, b"")
        answer.close()
    return answer, (time.perf_counter() - started) * 1000, _cpu_ms() - cpu


def _cpu_ms() -> float:
    from django.db import connection

    connection.ensure_connection()
    server = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    return time.process_time() * 1000 + int(server.split()[0]) / 1e6


def _snapshots() -> None:
    from django.db.models import Value
    from django.db.models.functions import Concat

    from control_plane.audit.services import Actor
    from control_plane.keys.models import VirtualKey
    from control_plane.keys.services import key_revoke, key_update
    from control_plane.organizations.models import Organization
    from control_plane.snapshots.services import deny_compile, everything_compile, organization_compile

    organization = Organization.objects.get(slug="crowd")
    started = time.perf_counter()
    everything_compile()
    print(f"\nall shards compiled, sealed and published the first time in {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    organization_compile(organization.id, force=True)
    print(f"compiled again, nothing changed, in {time.perf_counter() - started:.2f} s")
    VirtualKey.objects.filter(organization=organization).update(name=Concat("name", Value(" again")))
    started, cpu = time.perf_counter(), time.process_time()
    organization_compile(organization.id, force=True)
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"compiled again, every key changed, in {taken:.2f} s ({cpu:.2f} s CPU time here)")
    key = VirtualKey.objects.filter(organization=organization, revoked_at__isnull=True).first()
    assert key is not None
    key_update(key=key, name="measured", actor=Actor.system("crowd"))
    started = time.perf_counter()
    organization_compile(organization.id)
    print(f"compiled again, one key changed, in {time.perf_counter() - started:.2f} s")
    key_revoke(key=key, reason="measured", actor=Actor.system("crowd"))
    started = time.perf_counter()
    deny_compile(organization.id)
    print(f"one revocation compiled, sealed and published in {(time.perf_counter() - started) * 1000:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
