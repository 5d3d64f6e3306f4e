"""What each sub-command of the control plane runs; the console script `switchyard` calls these.

Each checks its settings before anything else: importing Django's settings stops the start with a list of what is
wrong.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

SETTINGS_MODULE = "control_plane.project.settings.production"
MIGRATION_LOCK = 0x53590000


def set_up() -> None:
    """Load Django. Exits with the list of wrong settings."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS_MODULE)
    django.setup()


def run_web() -> None:
    """Serve console and REST API: one process of a few threads behind granian."""
    set_up()
    from django.conf import settings
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    deployment = settings.SWITCHYARD
    # Connections of this process are none of the server's, which starts a process of its own.
    Server(
        "control_plane.project.wsgi:application",
        address=deployment.console_host,
        port=deployment.console_port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=deployment.web_threads,
        backlog=512,
        log_level=LogLevels.warning,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    ).serve()


def run_migrate() -> None:
    """Bring the database to this release, load the price book, publish what pods need first. Safe to run at once on
    many machines: one works, the others wait."""
    set_up()
    from django.core.management import call_command
    from django.db import connection

    from control_plane.audit.guard import audit_take_away, audit_take_back
    from control_plane.project.installation import prepare_installation

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
    try:
        audit_take_back()
        call_command("migrate", interactive=False, verbosity=1)
        prepare_installation()
        audit_take_away()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def run_grpc() -> None:
    """Serve pods: snapshots down, usage up."""
    set_up()
    import uvloop

    from control_plane.fleet.server import PortTaken, serve_until_stopped

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_until_stopped())
    except PortTaken as failure:
        sys.exit(str(failure))


def run_worker(arguments: Sequence[str] = ()) -> None:
    """Work on Celery's messages."""
    set_up()
    from django.conf import settings

    from control_plane.project.celery import app

    app.worker_main(
        [
            "worker",
            "--loglevel=INFO",
            f"--concurrency={settings.SWITCHYARD.worker_processes}",
            "--without-gossip",
            "--without-mingle",
            *arguments,
        ]
    )


def run_beat(arguments: Sequence[str] = ()) -> None:
    """Send the messages of the schedule. It keeps no state: every job is a sweep that may run a time too often."""
    set_up()
    from control_plane.project.celery import app

    app.start(["beat", "--loglevel=INFO", "--scheduler=celery.beat:Scheduler", "--pidfile=", *arguments])
