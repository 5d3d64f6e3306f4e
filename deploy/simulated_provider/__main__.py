"""`switchyard simulated-provider`: an upstream that speaks all protocols and needs no key."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from deploy.simulated_provider.server import SimulatedProvider, start_server

PORT_VARIABLE = "SWITCHYARD_SIMULATED_PROVIDER_PORT"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(arguments.host, arguments.port, arguments.ledger))
    except OSError as failure:
        print(
            f"The simulated provider cannot start at {arguments.host}:{arguments.port}: {failure.strerror or failure}. "
            f"Choose another port with --port or {PORT_VARIABLE}.",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="switchyard simulated-provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get(PORT_VARIABLE, "8099"),
        help=f"port to listen on, 0 for a free one (default ${PORT_VARIABLE} or 8099)",
    )
    parser.add_argument("--ledger", type=Path, default=None, help="file to which ended requests are appended")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535 (see also {PORT_VARIABLE})")
    return int(text)


async def _serve(host: str, port: int, ledger_file: Path | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    provider = SimulatedProvider(ledger_file)
    runner, bound = await start_server(provider, host, port)
    print(f"simulated provider ready at http://{host}:{bound}", flush=True)
    try:
        await stopped.wait()
    finally:
        await runner.cleanup()
        provider.close()


if __name__ == "__main__":
    sys.exit(main())
