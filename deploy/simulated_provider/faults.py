"""Turn an answer into steps for the rim: what to send, when to wait, where to break."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.simulated_provider.behaviour import NEVER, Behaviour
from deploy.simulated_provider.frames import Frame

WHOLE_PIECES = 8
"""A non-streaming body is sent in that many pieces, so that it can be cut and stalled as well."""


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes. output, reasoning: tokens generated when these bytes are out. ends: nothing is missing after it."""

    data: bytes
    output: int
    reasoning: int
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Send a TCP reset."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Stay silent until the other side gives up."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection cleanly at TCP, leaving the HTTP body unfinished."""


Step = Send | Pause | Reset | Hang | Close


def stream_steps(
    frames: Sequence[Frame], behaviour: Behaviour, *, error: Sequence[bytes], malformed: bytes
) -> list[Step]:
    """Lay out a streamed answer with the behaviour's faults in it.

    error: the protocol's error event and what follows it. malformed: a broken event of the protocol.
    """
    told = _without_withheld(frames, behaviour)
    steps: list[Step] = [Pause(behaviour.late_ms)] if behaviour.late_ms else []
    for count in range(len(told) + 1):
        produced = told[count - 1] if count else None
        output, reasoning = (produced.output, produced.reasoning) if produced else (0, 0)
        if count == behaviour.malformed_after:
            steps.append(Send(malformed, output, reasoning))
        if count == behaviour.error_after:
            return steps + [Send(data, output, reasoning) for data in error]
        if count == behaviour.cut_after:
            return [*steps, Reset()]
        if count == behaviour.stall_after:
            return [*steps, Hang()]
        if count == len(told):
            break
        if behaviour.delay_ms and count:
            steps.append(Pause(behaviour.delay_ms))
        frame = told[count]
        ends = count == len(told) - 1 and frame.stage == "terminal"
        steps.append(Send(frame.data, frame.output, frame.reasoning, ends))
    return steps + _late_break(behaviour)


def whole_steps(body: bytes, behaviour: Behaviour, *, output: int, reasoning: int) -> list[Step]:
    """Lay out a non-streaming answer; all of it has been generated before the first byte."""
    size = max(1, -(-len(body) // WHOLE_PIECES))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    steps: list[Step] = [Pause(behaviour.late_ms)] if behaviour.late_ms else []
    for count, piece in enumerate(pieces):
        if count == behaviour.cut_after:
            return [*steps, Reset()]
        if count == behaviour.stall_after:
            return [*steps, Hang()]
        if count == len(pieces) - 1:
            if behaviour.withholds_end or behaviour.withholds_terminal:
                return [*steps, Close()]
            if behaviour.malformed_after != NEVER:
                piece = piece[:-1] + b"#"
        steps.append(Send(piece, output, reasoning, count == len(pieces) - 1))
    broken = _late_break(behaviour)
    # The last piece is held back, so that a break behind the end of a short body is still a break.
    return steps[:-1] + broken if broken else steps


def _without_withheld(frames: Sequence[Frame], behaviour: Behaviour) -> Sequence[Frame]:
    if behaviour.withholds_end:
        return [frame for frame in frames if frame.stage in ("opening", "content")]
    if behaviour.withholds_terminal:
        return [frame for frame in frames if frame.stage != "terminal"]
    return frames


def _late_break(behaviour: Behaviour) -> list[Step]:
    """Break at the end when the answer was shorter than the count asked for: a fault asked for always happens."""
    if behaviour.cut_after != NEVER:
        return [Reset()]
    if behaviour.stall_after != NEVER:
        return [Hang()]
    return []
