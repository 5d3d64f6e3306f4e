"""CI jobs without a stored key: their own OIDC token for a key of a service account that lives at most an hour."""
