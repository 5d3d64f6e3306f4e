"""Logs, metrics and loop lag. Nothing here may hold a key, a prompt or an answer."""
