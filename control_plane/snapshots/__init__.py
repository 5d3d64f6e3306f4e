"""What pods obey: compiled purely, checked, numbered, sealed and published as shards."""
