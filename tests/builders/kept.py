"""Rows that many tests begin with, made once.

A fixture of a module puts a transaction around the module's tests, makes the rows in it and takes them back at the
end. Each test still has its own transaction, within this one, so that none sees what another has changed. A module
whose tests commit (`transaction=True`) cannot begin like that: such tests have files of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TypeVar

from django.core.cache import cache
from django.db import transaction
from pytest_django import DjangoDbBlocker

_T = TypeVar("_T")


@contextmanager
def kept(make: Callable[[], _T], blocker: DjangoDbBlocker) -> Iterator[Callable[[], _T]]:
    """Make the rows; give what hands out copies of them, so that a test may change its own."""
    with blocker.unblock():
        around = transaction.atomic()
        # As around a test: code that insists on the outermost transaction may still begin one.
        around._from_testcase = True  # type: ignore[attr-defined]
        around.__enter__()
        try:
            made = make()
            with blocker.block():
                yield lambda: _copied(made)
        finally:
            transaction.set_rollback(True)
            around.__exit__(None, None, None)


def _copied(made: _T) -> _T:
    # The allowances of a caller are counted by ids, which the tests of a module now share.
    cache.clear()
    return deepcopy(made)
