"""Virtual models: the names clients may use, and the target each resolves to."""
