"""Provider-neutral values: what every protocol's answer is brought to."""
