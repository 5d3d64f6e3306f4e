"""Policy as code: what people manage as YAML, read back through the services that REST and forms use."""
