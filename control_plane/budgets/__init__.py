"""Budgets, their temporary raises, and requests for more."""
