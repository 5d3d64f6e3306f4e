"""One try at one target, and the facts about it that every usage event records."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from data_plane.upstream.failure import UpstreamError
from data_plane.upstream.request import UpstreamRequest
from data_plane.upstream.response import UpstreamResponse


class Pool(Protocol):
    """What an attempt needs of the pool."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse: ...


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What is known of an attempt once its head has arrived or it has failed.

    host: as configured. host_address: the one dialled, "" when none was. status: 0 without an answer. failure: the kind
    of UpstreamError, "" for an answer of any status. may_have_run: the provider may have worked on it, and charged.
    """

    host: str
    host_address: str
    status: int
    connect_us: int
    first_byte_us: int
    is_reused: bool
    failure: str
    error_text: str
    may_have_run: bool


async def attempt(
    pool: Pool, request: UpstreamRequest, clock: Callable[[], float] = time.perf_counter
) -> UpstreamResponse:
    """Connect, send, and wait for the head of the answer. Raises UpstreamError with `elapsed_us` set."""
    began = clock()
    try:
        return await pool.send(request)
    except UpstreamError as failure:
        failure.elapsed_us = int((clock() - began) * 1e6)
        raise


def facts_of_answer(request: UpstreamRequest, response: UpstreamResponse) -> AttemptFacts:
    """Record an attempt that was answered, whatever the status."""
    return AttemptFacts(
        host=request.origin.host,
        host_address=response.host_address,
        status=response.status,
        connect_us=response.connect_us,
        first_byte_us=response.first_byte_us,
        is_reused=response.is_reused,
        failure="",
        error_text="",
        may_have_run=True,
    )


def facts_of_failure(request: UpstreamRequest, failure: UpstreamError) -> AttemptFacts:
    """Record an attempt that brought no head. The text of an UpstreamError holds no secret and no content."""
    return AttemptFacts(
        host=request.origin.host,
        host_address="",
        status=0,
        connect_us=0,
        first_byte_us=0,
        is_reused=False,
        failure=failure.kind,
        error_text=str(failure),
        may_have_run=failure.may_have_run,
    )
