"""Pure decisions over an immutable snapshot: no clock, no chance, no outside."""
