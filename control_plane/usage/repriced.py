"""A row of the ledger at the prices of today's book. Pure but for looking up which model an old price was of."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from control_plane.catalog.selectors import Book
from control_plane.usage.entries import ADJUSTMENT, REVERSAL, LedgerRow
from control_plane.usage.row_costs import BilledPass, passes_of, with_costs
from switchyard_contract.price_choice import DISCOUNT_MARK, Chosen
from switchyard_contract.pricing import amount_of, saved_below


@dataclass(slots=True)
class Repricer:
    """Prices rows by one book.

    model_of: the model that a version of a price is of, empty if unknown. A row names the model that answered; where
    that name has no price, the pod took the price of the model asked for, whose name only the old version tells.
    """

    book: Book
    model_of: Callable[[str], str]
    _known: dict[tuple[str, str, bool], Chosen] = field(default_factory=dict)

    def reprice(self, row: LedgerRow) -> LedgerRow | None:
        """The row that takes its place, one revision on. None: it costs what it did, or it cannot be priced."""
        if row.kind in (REVERSAL, ADJUSTMENT) or not row.attempt or row.operation == "count_tokens":
            return None
        passes = passes_of(row)
        if not row.cost_nano_usd and not any(any(each.tokens) or each.billed.web_searches for each in passes):
            return None
        priced = [self._price(row, each) for each in passes]
        known = [each for each in priced if each is not None]
        if len(known) < len(priced):
            return None
        cost = sum(amount for amount, _, _ in known)
        note = next((chosen.note for _, _, chosen in known if chosen.note), "")
        if cost == row.cost_nano_usd and note == row.price_note:
            return None
        parts = tuple(
            replace(each, cost_nano_usd=amount, price_version=_version(chosen))
            for each, (amount, _, chosen) in zip(passes[1:], known[1:], strict=True)
        )
        return replace(
            row,
            revision=row.revision + 1,
            cost_nano_usd=cost,
            price_version=_version(known[0][2]),
            price_note=note,
            saved_cache_nano_usd=sum(saved for _, saved, _ in known),
            extras=with_costs(row, parts),
        )

    def _price(self, row: LedgerRow, one: BilledPass) -> tuple[int, int, Chosen] | None:
        """Amount, what a cache saved, and the price."""
        chosen = self._choose(row, one.model)
        if (chosen.price is None or chosen.note) and one.price_version and not row.price_note:
            asked = self.model_of(one.price_version.partition(DISCOUNT_MARK)[0])
            other = self._choose(row, asked) if asked and asked != one.model else chosen
            chosen = other if other.price is not None and not other.note else chosen
        if chosen.price is None:
            return None
        amount = amount_of(one.tokens, chosen.price, one.billed)
        return amount, saved_below(amount, one.tokens, chosen.price, one.billed), chosen

    def _choose(self, row: LedgerRow, model: str) -> Chosen:
        at_ms = int(row.started_at.timestamp() * 1000)
        found = self._known.get(key := (row.vendor, model, row.is_subscription))
        if found is None or not found.from_ms <= at_ms < found.until_ms:
            found = self.book.choose(row.vendor, model, at_ms, is_subscription=row.is_subscription)
            self._known[key] = found
        return found


def _version(chosen: Chosen) -> str:
    assert chosen.price is not None, "only priced passes are asked"
    return chosen.price.id
