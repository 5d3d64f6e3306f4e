"""`make bench`: one pod on one core beside a bare aiohttp proxy and nginx, in one run, interleaved.

The pod is the real process with key check, spool, usage and metrics on; its control plane is the one of the tests, over
the real gRPC contract, its counter store the embedded Valkey. The referee (`referee/`) brings the load generator and
the mock provider, in C, and reads CPU time from the scheduler. Absolute times are noise on a shared machine: read the
ratios.

With `--rules` the same pod is asked once more, on a key that six budgets and three rate limits are about: what a round
trip to the counters and its settling add.

Usage: python -m tests.load.bench [--quick] [--rules] [--scenario NAME] [--rounds N] [-- referee arguments]
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median

from deploy.local.engines import Engines
from deploy.local.valkey import Valkey
from switchyard_contract.v1 import snapshot_pb2
from tests.builders.rules import a_budget, a_rate_limit, every, when
from tests.fakes.control_plane import ControlPlane
from tests.fakes.installation import Books, Installation, Supplier

ROOT = Path(__file__).resolve().parents[2]
REFEREE = Path(__file__).parent / "referee" / "bench.py"
MODEL = "bench-model"
KEYS = 1001
GOVERNED = "governed"
"""The target's name that is asked on the key with rules."""
SPINE = 0.75
"""Of the bare proxy's CPU at 2 KB: what a pod without rules may need."""
_PLENTY = 1_000_000
GATEWAY_CPU = "0"
SCENARIOS = ("closed-2k", "closed-60k", "closed-400k", "open-2k", "stream", "idle")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round: for a look, not for a verdict")
    parser.add_argument("--scenario", action="append", help=f"one of {', '.join(SCENARIOS)} (repeat)")
    parser.add_argument("--rules", action="store_true", help="also on a key with 6 budgets and 3 rate limits")
    parser.add_argument("--api", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", metavar="FOLDER", help="keep logs and raw results here")
    parser.add_argument("referee", nargs="*", help="after --: passed on (--nice -12 on a busy machine, as root)")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = Path(chosen.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="switchyard-bench-")))
        work.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_measure(chosen, work, stack))


async def _measure(chosen: argparse.Namespace, work: Path, stack: contextlib.ExitStack) -> int:
    mock_port, proxy_port, nginx_port, gateway_port, admin_port, valkey_port = _free_ports(6)
    upstream = f"http://127.0.0.1:{mock_port}"
    counters = Valkey("counters", work, work / "counters.log", valkey_port, "bench")
    engines = stack.enter_context(Engines([counters]))
    _boost(engines.process_ids().values(), chosen.referee)
    rates = snapshot_pb2.Rates(input=3_000_000_000, output=15_000_000_000)
    installation = Installation(
        Books(
            suppliers=(
                Supplier("bench-openai", "openai_compatible", f"{upstream}/v1", (MODEL,)),
                Supplier("bench-anthropic", "anthropic", upstream, (f"claude-{MODEL}",)),
            ),
            prices=tuple(
                snapshot_pb2.PriceRow(id=f"bench-{model}", model=model, rates=rates)
                for model in (MODEL, f"claude-{MODEL}")
            ),
        )
    )
    key, governed, *_others = [installation.mint() for _ in range(KEYS)]
    if chosen.rules:
        installation.change(rules=_rules_about(governed.id))
    control = stack.enter_context(ControlPlane(installation, keeps_rows=False))
    stack.enter_context(
        _process(
            "pod",
            work,
            _pod_command(),
            _pod_environment(
                installation.pod_environment(control.address, counters.url), work, gateway_port, admin_port
            ),
        )
    )
    stack.enter_context(_process("bare-proxy", work, _bare_command(proxy_port, upstream), dict(os.environ)))
    targets = [f"switchyard=http://127.0.0.1:{gateway_port}", f"aiohttp=http://127.0.0.1:{proxy_port}"]
    if shutil.which("nginx"):
        stack.enter_context(_process("nginx", work, _nginx_command(work, nginx_port, mock_port), dict(os.environ)))
        targets.append(f"nginx=http://127.0.0.1:{nginx_port}")
    else:
        print("nginx is not installed, so its row is missing (apt-get install nginx-light).")
    await _until_ready(f"http://127.0.0.1:{admin_port}/readyz")
    if chosen.rules:
        targets.insert(1, f"{GOVERNED}=http://127.0.0.1:{gateway_port}")
    model = MODEL if chosen.api == "openai" else f"claude-{MODEL}"
    command = [sys.executable, str(REFEREE), "--mock-port", str(mock_port), "--api", chosen.api, "--model", model]
    command += [part for target in targets for part in ("--target", target)]
    for name in (target.partition("=")[0] for target in targets):
        token = governed if name == GOVERNED else key
        command += ["--header", f"{name}=Authorization: Bearer {token.text}"]
    command += ["--reference", "aiohttp"]
    command += [part for name in chosen.scenario or SCENARIOS for part in ("--scenario", name)]
    command += ["--rounds", "1", "--duration", "2"] if chosen.quick else ["--rounds", str(chosen.rounds)]
    command += chosen.referee
    command += ["--work", str(work / "referee"), "--json", str(work / "raw.json")]
    referee = await asyncio.create_subprocess_exec(*command)
    status = await referee.wait()
    if chosen.rules and status == 0:
        print(_what_rules_add(json.loads((work / "raw.json").read_bytes())))
    await asyncio.sleep(1)
    print(f"\nUsage events received: {control.received}; snapshots refused by the pod: {len(control.nacks)}")
    return status


def _what_rules_add(raw: Mapping[str, Mapping[str, list[Mapping[str, float]]]]) -> str:
    """Say for each scenario what rules add to a request, round by round: a round's targets had the same machine."""
    told = []
    for scenario, rounds_of in raw.items():
        rounds = [
            [each.get("cpu_us_per_request") for each in (free, governed, bare)]
            for free, governed, bare in zip(
                rounds_of["switchyard"], rounds_of[GOVERNED], rounds_of["aiohttp"], strict=False
            )
        ]
        whole = [(free, governed, bare) for free, governed, bare in rounds if free and governed and bare]
        if not whole:
            continue
        added = [governed - free for free, governed, _ in whole]
        share = median(more / bare for more, (_, _, bare) in zip(added, whole, strict=True))
        told.append(
            f"{scenario}: rules add {', '.join(f'{each:.1f}' for each in added)} µs of CPU a request, "
            f"median {median(added):.1f}; {share:.3f} of what the bare proxy needs for one"
        )
        if scenario == "closed-2k":
            over = [governed - SPINE * bare for _, governed, bare in whole]
            told.append(
                f"{scenario}: with rules {', '.join(f'{each:.1f}' for each in over)} µs over {SPINE} of the bare proxy"
                f", median {median(over):.1f}; {median(governed / bare for _, governed, bare in whole):.3f} of it"
            )
    return "\n".join(told)


def _boost(pids: Iterable[int], referee: list[str]) -> None:
    """Give the counter store the niceness that the referee gives everybody else."""
    if "--nice" in referee:
        for pid in pids:
            os.setpriority(os.PRIO_PROCESS, pid, int(referee[referee.index("--nice") + 1]))


def _rules_about(key_id: str) -> snapshot_pb2.PolicyShard:
    """Six budgets and three rate limits that match every request on one key, and that nothing ever reaches."""
    about = when(f"key:{key_id}")
    pers: tuple[list[str], ...] = (["key"], ["principal"], ["organization"], ["model"], ["provider"], [])
    return snapshot_pb2.PolicyShard(
        budgets=[
            a_budget(f"budget {number}", dollars=_PLENTY, when=about, per=per) for number, per in enumerate(pers, 1)
        ],
        rate_limits=[
            a_rate_limit("by key", when=about, per=["key"], limit=_PLENTY),
            a_rate_limit("by person", when=about, per=["principal"], limit=_PLENTY, periods=every("hour")),
            a_rate_limit(
                "tokens",
                when=about,
                per=["key"],
                limit=_PLENTY**2,
                unit=snapshot_pb2.RATE_UNIT_TOKENS,
                periods=every("day", (0, 2**52)),
            ),
        ],
    )


def _pod_command() -> list[str]:
    return ["taskset", "-c", GATEWAY_CPU, sys.executable, "-m", "data_plane"]


def _bare_command(port: int, upstream: str) -> list[str]:
    return ["taskset", "-c", GATEWAY_CPU, sys.executable, "-m", "tests.load.bare_proxy", str(port), upstream]


def _pod_environment(installation: dict[str, str], work: Path, gateway_port: int, admin_port: int) -> dict[str, str]:
    return {
        **os.environ,
        **installation,
        "SWITCHYARD_POD_ID": "bench",
        "SWITCHYARD_POD_STATE": str(work / "pod"),
        "SWITCHYARD_GATEWAY_PORT": str(gateway_port),
        "SWITCHYARD_POD_ADMIN_PORT": str(admin_port),
        "SWITCHYARD_DRAIN_ACCEPT_SECONDS": "0",
        # As deploy/local and the image set them: docs/operations/sizing.md
        "MALLOC_MMAP_THRESHOLD_": "67108864",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
    }


def _nginx_command(work: Path, port: int, upstream_port: int) -> list[str]:
    configuration = work / "nginx.conf"
    configuration.write_text(
        f"""daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; client_max_body_size 64m;
  client_body_buffer_size 1m; fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  upstream mock {{ server 127.0.0.1:{upstream_port}; keepalive 2048; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
""",
        encoding="ascii",
    )
    return ["taskset", "-c", GATEWAY_CPU, "nginx", "-p", str(work), "-c", str(configuration)]


@contextlib.contextmanager
def _process(name: str, work: Path, command: list[str], environment: dict[str, str]) -> Iterator[None]:
    with (work / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_ready(url: str, limit_s: float = 30) -> None:
    deadline = asyncio.get_running_loop().time() + limit_s
    while True:
        try:
            await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=2).close())
        except OSError as failure:
            if asyncio.get_running_loop().time() > deadline:
                raise SystemExit(f"The pod is not ready after {limit_s} s: {failure}") from failure
            await asyncio.sleep(0.1)
        else:
            return


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    sys.exit(main())
