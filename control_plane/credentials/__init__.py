"""Providers: upstream accounts, their addresses and sealed credentials."""
