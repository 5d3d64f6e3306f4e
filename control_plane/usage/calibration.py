"""What exchanges of public models cost of their worst case, for whoever says what a budget may come to."""

from control_plane.usage.measuring import facts_by_model


def calibrated_per_mille() -> dict[tuple[str, str], int]:
    """By vendor and model without a date: the 99.9th percentile, in thousandths; only what was measured."""
    return {
        name: facts.calibrated_per_mille for name, facts in facts_by_model().items() if facts.calibrated_per_mille > 0
    }
