"""What the first run made: who may sign in, and the keys that are shown once.

The seed tells them exactly once; they are kept in a private file, since `make up` shows them at every start.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deploy.local.private_file import write_private


class SeedFailed(Exception):
    """The seed's answer cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FirstRun:
    """Secrets never show in a repr."""

    admin_email: str
    admin_password: str
    api_token: str
    virtual_key: str
    pod_token: str

    def __repr__(self) -> str:
        return f"FirstRun({self.admin_email})"


def read_seed_answer(output: str, kept_in: Path) -> FirstRun:
    """Take the seed's one JSON line; keep what a first run made, or give back what an earlier one had made.

    Raises SeedFailed when the database was seeded elsewhere, or the answer is none.
    """
    try:
        answer = json.loads(output.strip().splitlines()[-1])
        is_new = bool(answer["seeded"])
        if is_new:
            first_run = FirstRun(**{field.name: str(answer[field.name]) for field in fields(FirstRun)})
    except (IndexError, KeyError, TypeError, ValueError) as failure:
        raise SeedFailed("the seed did not answer with one line of JSON; its words are in logs/seed.log") from failure
    if is_new:
        write_private(kept_in, json.dumps(asdict(first_run), indent=2) + "\n")
        return first_run
    try:
        kept = json.loads(kept_in.read_text(encoding="utf-8"))
        return FirstRun(**{field.name: str(kept[field.name]) for field in fields(FirstRun)})
    except FileNotFoundError as failure:
        raise SeedFailed(
            f"this database was set up from another SWITCHYARD_HOME: {kept_in} is not here, so no pod token is known. "
            "Start with the home that made it, or with an empty database."
        ) from failure
    except (KeyError, TypeError, ValueError) as failure:
        raise SeedFailed(f"{kept_in} cannot be read: {failure}") from failure
