from dataclasses import dataclass, field

from data_plane.exchange.ports import ClientGone
from data_plane.exchange.pulse import Pulses


@dataclass
class _Out:
    written: list[bytes] = field(default_factory=list)
    is_gone: bool = False

    async def write(self, data: bytes) -> None:
        if self.is_gone:
            raise ClientGone
        self.written.append(data)


@dataclass
class _Tap:
    at_boundary: bool = True
    has_ended: bool = False


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def _sweep_after(silence_s: float, tap: _Tap, *, is_writing: bool = False, out: _Out | None = None) -> _Out:
    clock = _Clock()
    pulses = Pulses(15, clock)
    out = out or _Out()
    pulse = pulses.watch(out, tap, b": alive\n\n")  # type: ignore[arg-type]
    pulse.is_writing = is_writing
    clock.now_s += silence_s
    await pulses.sweep()
    return out


async def test_a_silent_stream_gets_a_sign_of_life() -> None:
    assert (await _sweep_after(15, _Tap())).written == [b": alive\n\n"]


async def test_a_stream_that_spoke_lately_gets_none() -> None:
    assert (await _sweep_after(14, _Tap())).written == []


async def test_nothing_is_written_inside_an_event_after_the_end_or_while_the_client_is_slow() -> None:
    assert (await _sweep_after(60, _Tap(at_boundary=False))).written == []
    assert (await _sweep_after(60, _Tap(has_ended=True))).written == []
    assert (await _sweep_after(60, _Tap(), is_writing=True)).written == []


async def test_a_client_that_left_is_forgotten() -> None:
    out = await _sweep_after(60, _Tap(), out=_Out(is_gone=True))
    assert out.written == []
