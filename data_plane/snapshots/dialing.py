"""Channels to the control plane: its addresses in turn, with or without TLS."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import grpc

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Above the largest shard, so that one that is too large is refused by us, with a code, and not by the transport."""
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Our own back-off decides when to dial again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
)


class Dialer:
    """Opens a channel to the next address at each call; one instance per stream kind."""

    def __init__(self, addresses: Sequence[str], ca_file: Path | None) -> None:
        """ca_file None: plain text. Raises OSError when the file cannot be read, ValueError without an address."""
        if not addresses:
            raise ValueError("no address of the control plane is set")
        self._addresses = cycle(addresses)
        ca = ca_file.read_bytes() if ca_file else None
        self._credentials = grpc.ssl_channel_credentials(root_certificates=ca) if ca else None

    def dial(self) -> grpc.aio.Channel:
        address = next(self._addresses)
        if self._credentials is None:
            return grpc.aio.insecure_channel(address, options=_OPTIONS)
        return grpc.aio.secure_channel(address, self._credentials, options=_OPTIONS)
