"""Run by a test: writes a spool while the kernel lets this process write no file."""

import asyncio
import json
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "proto")]

from tests.data_plane.usage.builders import a_spool, an_event, until  # noqa: E402


async def main(directory: Path) -> dict[str, bool]:
    spool = await a_spool(directory)
    spool.admitted(an_event("before"), "before", 1)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    spool.final(an_event("before"), "before", 1)
    spool.final(an_event("during"), "during", 1)
    await until(lambda: spool.is_broken)
    admits, broken = spool.can_admit(), spool.is_broken
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await until(spool.can_admit)
    await spool.close()
    return {"admits_at_limit": admits, "broken_at_limit": broken, "admits_after": True}


sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
