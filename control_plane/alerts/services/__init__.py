"""What is done with alerts."""

from control_plane.alerts.services.channels import (
    ChannelFacts,
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
)
from control_plane.alerts.services.outbox import (
    crossings_dispatch,
    deliveries_forget,
    deliveries_send,
    delivery_retry,
    findings_dispatch,
)
from control_plane.alerts.services.sweep import crossings_sweep

__all__ = [
    "ChannelFacts",
    "channel_create",
    "channel_delete",
    "channel_test",
    "channel_update",
    "crossings_dispatch",
    "crossings_sweep",
    "deliveries_forget",
    "deliveries_send",
    "delivery_retry",
    "findings_dispatch",
]
