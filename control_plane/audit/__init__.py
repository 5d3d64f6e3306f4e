"""Who changed what: a hash chain per organization, and the outbox that snapshots read."""
