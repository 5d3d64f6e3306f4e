"""What a pod keeps in mind of what its counters decided: attempts that run, and how far an organization's have come."""

import msgspec

from data_plane.counters.packing import Aim, Reserved
from data_plane.policy.grant import Grant


class Contents(msgspec.Struct):
    """What was seen of an organization's counters."""

    generation: int = -1
    sequence: int = 0
    wanted: int = 0
    """The generation that the policy names."""
    lost_at: int = -1
    """The policy's generation when they were found incomplete; -1: they are whole."""


class Running(msgspec.Struct, gc=False):
    """An attempt between admission and settlement."""

    aim: Aim
    grant: Grant
    numbers: Reserved
    """What is reserved now, micro-USD and tokens; extensions included."""
