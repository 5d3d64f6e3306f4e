"""Short constructors for what tests need."""
