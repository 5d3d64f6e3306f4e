"""HTTP out: our own keep-alive client on raw asyncio protocols. Start reading at `connections.py`."""
