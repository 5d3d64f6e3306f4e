from data_plane.telemetry.metrics import PodMetrics


def _lines(metrics: PodMetrics) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]


def test_exchanges_are_counted_by_protocol_provider_outcome_and_class_of_status() -> None:
    metrics = PodMetrics(lambda _reason, _source: None)
    metrics.served("openai_chat", "main", "served", 200)
    metrics.served("openai_chat", "main", "served", 201)
    metrics.served("openai_chat", "", "cancelled", 0)
    assert [line for line in _lines(metrics) if line.startswith("switchyard_exchanges_total")] == [
        'switchyard_exchanges_total{outcome="served",protocol="openai_chat",provider="main",status_class="2xx"} 2.0',
        'switchyard_exchanges_total{outcome="cancelled",protocol="openai_chat",provider="",status_class="none"} 1.0',
    ]


def test_durations_fall_into_buckets_that_hold_their_edge() -> None:
    metrics = PodMetrics(lambda _reason, _source: None)
    for gateway_us in (100, 101, 900_000):
        metrics.observe("openai_chat", gateway_us=gateway_us, first_byte_us=0, duration_us=250_000)
    lines = _lines(metrics)
    assert 'switchyard_gateway_seconds_bucket{le="0.0001",protocol="openai_chat"} 1.0' in lines
    assert 'switchyard_gateway_seconds_bucket{le="0.00025",protocol="openai_chat"} 2.0' in lines
    assert 'switchyard_gateway_seconds_bucket{le="0.5",protocol="openai_chat"} 2.0' in lines
    assert 'switchyard_gateway_seconds_bucket{le="+Inf",protocol="openai_chat"} 3.0' in lines
    assert 'switchyard_gateway_seconds_count{protocol="openai_chat"} 3.0' in lines
    assert 'switchyard_first_byte_seconds_count{protocol="openai_chat"} 0.0' in lines
    assert 'switchyard_exchange_seconds_sum{protocol="openai_chat"} 0.75' in lines


def test_a_failed_authentication_is_counted_here_and_told_on() -> None:
    told: list[tuple[str, str]] = []
    metrics = PodMetrics(lambda reason, source: told.append((reason, source)))
    metrics.failed_authentication("unauthenticated", "10.0.0.1")
    metrics.refused("unauthenticated", "openai_chat")
    assert told == [("unauthenticated", "10.0.0.1")]
    lines = _lines(metrics)
    assert 'switchyard_failed_authentications_total{reason="unauthenticated"} 1.0' in lines
    assert 'switchyard_refusals_total{protocol="openai_chat",reason="unauthenticated"} 1.0' in lines
