"""Times that were promised, and how much patience a test has with a busy machine.

A promise such as "dead in under a second" is measured on a machine of its own: `TEST_PATIENCE=1 make test ARGS=...`.
Elsewhere other work shares the cores, and a test that fails for that says nothing about the product, so by default the
limit is a multiple of what was promised: it still fails when the way a promise is kept no longer works at all.
"""

import os

PATIENCE = float(os.environ.get("TEST_PATIENCE", "8"))


def within(promised_s: float) -> float:
    """The limit for something promised within so many seconds."""
    return promised_s * PATIENCE
