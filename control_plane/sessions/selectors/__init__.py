"""Questions about sessions, for pages and the REST API. Each takes a Scope or an organization."""
