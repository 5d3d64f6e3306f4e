"""Models and prices: list prices below, an organization's own above."""
