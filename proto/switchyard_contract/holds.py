"""What the counter store holds for attempts: written by pods' scripts, read by the control plane when a pod is gone.

An attempt is named `<exchange>:<attempt>`. While a pod runs it, what is reserved for it stands under `held_key`, and
under `due_key` until when nobody gives it back. What no pod renewed is moved to `lost_key`.

The last part of what is held is its witness, three lines: the key, the maker, the model asked for. The maker is the
pod, and behind it which run of which spool (`maker_text`): so a run whose disk has spoken since is told from one whose
disk was lost (docs/decisions/0178-nothing-was-sent.md).
"""

from dataclasses import dataclass

from switchyard_contract.counters import MICRO, CountersAnswer, read_answer

SAID_FIRST_BYTES = 36
"""What stands before the answer of the script, for pods that look no further."""
_LONGEST = 64 * 1024
_SPOOL_NAME_BYTES = 8
_MAKER_MARK = "\x1f"
"""Between a pod and its spool's run; `reserve.lua` knows it, too."""
_WIDTHS = {0xCC: (1, False), 0xCD: (2, False), 0xCE: (4, False), 0xCF: (8, False)} | {
    0xD0: (1, True), 0xD1: (2, True), 0xD2: (4, True), 0xD3: (8, True)
}  # fmt: skip
_TEXTS = {0xD9: 1, 0xC4: 1, 0xDA: 2, 0xC5: 2, 0xDB: 4, 0xC6: 4}


def held_key(organization_id: str) -> str:
    return f"held:{{{organization_id}}}"


def due_key(organization_id: str) -> str:
    return f"due:{{{organization_id}}}"


def lost_key(organization_id: str) -> str:
    return f"lost:{{{organization_id}}}"


def spool_name(boot_id: bytes) -> str:
    """Name a spool shortly, as holds do: the beginning of its id."""
    return boot_id[:_SPOOL_NAME_BYTES].hex()


def maker_text(pod_id: str, boot_id: bytes, run: int) -> str:
    """Write who holds: a pod, the spool on its disk, and which run of that spool it is."""
    return f"{pod_id}{_MAKER_MARK}{spool_name(boot_id)}.{run}"


@dataclass(frozen=True, slots=True)
class HeldBudget:
    """A counter of a budget that counts the attempt."""

    budget_id: str
    period: str
    counter: str


@dataclass(frozen=True, slots=True)
class Hold:
    """What is reserved for one attempt, and whose it is."""

    expected_nano_usd: int
    key_id: str
    pod_id: str
    spool: str
    """See `spool_name`; empty: the pod said nothing of it."""
    run: int
    """Of the spool: later runs have higher numbers. 0: the pod said nothing of it."""
    model: str
    """The one asked for."""
    budgets: tuple[HeldBudget, ...]
    answer: CountersAnswer
    answer_text: bytes
    """As `UsageEvent.counters_answer` has it."""


def read_member(member: str) -> tuple[str, int]:
    """Read exchange and attempt. Raises ValueError."""
    exchange_id, _, attempt = member.rpartition(":")
    if not exchange_id or not attempt.isascii() or not attempt.isdigit():
        raise ValueError("not <exchange>:<attempt>")
    return exchange_id, int(attempt)


def read_hold(text: bytes) -> Hold:
    """Decode what is held. Raises ValueError when it is none, or one without a witness of whose it is."""
    if len(text) > _LONGEST:
        raise ValueError("too long for what is held")
    said, _, *rest = _read_array(text)
    if len(rest) % 3 != 1 or not isinstance(said, bytes) or not isinstance(rest[-1], bytes):
        raise ValueError("not what is held, or without a witness")
    key_id, maker, model = (part.decode(errors="replace") for part in rest[-1].split(b"\n", 2))
    pod_id, spool, run = _read_maker(maker)
    answer_text = said[SAID_FIRST_BYTES:]
    answer = read_answer(answer_text)
    expected = answer.expected
    budgets = []
    for name, e in zip(rest[:-1:3], rest[1:-1:3], strict=True):
        if not isinstance(name, bytes) or not isinstance(e, int):
            raise ValueError("not what is held")
        # An estimate that grew while the answer ran was told to the budgets.
        expected = max(expected, e)
        budgets.append(_budget_of(name.decode()))
    return Hold(expected * MICRO, key_id, pod_id, spool, run, model, tuple(budgets), answer, answer_text)


def _read_maker(text: str) -> tuple[str, str, int]:
    """Read `maker_text` back. What cannot be read is a pod of another age: it names no run."""
    pod_id, _, mark = text.partition(_MAKER_MARK)
    spool, _, run = mark.partition(".")
    if not run.isascii() or not run.isdigit() or len(run) > 18:
        return pod_id, "", 0
    return pod_id, spool, int(run)


def _budget_of(name: str) -> HeldBudget:
    """Read `counters.budget_key` back."""
    head, _, rest = name.partition("}:")
    budget_id, period, counter = rest.split(":", 2)
    if not head.startswith("b:{"):
        raise ValueError("not the name of a budget's counter")
    return HeldBudget(budget_id, period, counter)


def _read_array(text: bytes) -> list[int | bytes]:
    """Read a MessagePack array of whole numbers and texts."""
    if not text:
        raise ValueError("nothing is held")
    if 0x90 <= text[0] <= 0x9F:
        count, at = text[0] & 0x0F, 1
    elif text[0] == 0xDC and len(text) >= 3:
        count, at = int.from_bytes(text[1:3], "big"), 3
    else:
        raise ValueError("not what is held")
    found: list[int | bytes] = []
    for _ in range(count):
        if at >= len(text):
            raise ValueError("what is held is cut off")
        first = text[at]
        at += 1
        length = first & 0x1F if 0xA0 <= first <= 0xBF else None
        if first in _TEXTS:
            length = int.from_bytes(text[at : at + _TEXTS[first]], "big")
            at += _TEXTS[first]
        if length is not None:
            found.append(text[at : at + length])
            at += length
        elif first <= 0x7F or first >= 0xE0:
            found.append(first if first <= 0x7F else first - 0x100)
        elif first in _WIDTHS:
            width, is_signed = _WIDTHS[first]
            found.append(int.from_bytes(text[at : at + width], "big", signed=is_signed))
            at += width
        else:
            raise ValueError("what is held has something else in it")
    if at != len(text):
        raise ValueError("what is held is cut off, or goes on")
    return found
