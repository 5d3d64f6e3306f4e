"""How far pods have laid an organization's books into the counter store. Read from the store itself, since what is lost
there again takes this with it. Blocking."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from control_plane.keys.counter_store import open_counter_store
from switchyard_contract.counters import LAID, LAYING, meta_key, read_laying

TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Laid:
    """attempt, floors: of the books that are on their way, or were the last. generation: which all of them were laid in
    for; 0: none."""

    attempt: str
    floors: int
    generation: int


def laid_books(organization_ids: Sequence[UUID]) -> dict[UUID, Laid]:
    """Read how far the books of organizations are laid in. Raises redis.RedisError when the store is away."""
    with open_counter_store(TIMEOUT_S) as store:
        pipeline = store.pipeline(transaction=False)
        for organization_id in organization_ids:
            pipeline.hmget(meta_key(organization_id.hex), [LAYING, LAID])
        answers = pipeline.execute()
    return {one: _read(*fields) for one, fields in zip(organization_ids, answers, strict=True)}


def _read(laying: bytes | None, laid: bytes | None) -> Laid:
    attempt, floors = read_laying((laying or b"").decode())
    return Laid(attempt, floors, int(laid or 0))
