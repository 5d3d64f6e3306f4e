"""Both planes as whole processes: few tests, each a story."""
