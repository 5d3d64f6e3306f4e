"""One attempt and the facts recorded about it."""

import pytest

from data_plane.upstream.attempt import attempt, facts_of_answer, facts_of_failure
from data_plane.upstream.connections import Origin
from data_plane.upstream.failure import ForbiddenAddress, UpstreamError
from tests.data_plane.upstream.wire import OK, Peer, a_pool, a_request, answering, provider


async def test_an_answered_attempt() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        request = a_request(upstream.origin)
        facts = facts_of_answer(request, await attempt(pool, request))
        assert (facts.host, facts.host_address, facts.status, facts.failure) == ("127.0.0.1", "127.0.0.1", 200, "")
        assert facts.connect_us > 0
        assert facts.first_byte_us > 0
        assert not facts.is_reused


async def test_a_failed_attempt_is_timed_and_named_without_secrets() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with provider(script) as upstream, a_pool() as pool:
        request = a_request(upstream.origin, b"prompt")
        with pytest.raises(UpstreamError) as caught:
            await attempt(pool, request)
        facts = facts_of_failure(request, caught.value)
        assert (facts.failure, facts.may_have_run, facts.status) == ("connection_lost", True, 0)
        assert caught.value.elapsed_us > 0
        assert "secret" not in facts.error_text
        assert "prompt" not in facts.error_text


async def test_an_attempt_at_a_forbidden_address_is_not_hidden_by_a_fallback() -> None:
    async with a_pool() as pool:
        with pytest.raises(ForbiddenAddress) as caught:
            await attempt(pool, a_request(Origin("http", "169.254.169.254", 80)))
        assert not caught.value.is_worth_another_target
        assert not caught.value.may_have_run
