"""Real coding tools against a running gateway: `make test-clients`."""
