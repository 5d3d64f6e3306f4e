"""Sessions of coding tools: what happened turn by turn, what was lost in caches and loops, and what to do about it."""
