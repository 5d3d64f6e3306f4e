"""Rate limits, and caps of sessions."""
