"""How Switchyard is started: the `switchyard` command, local mode, the simulated provider."""
