"""The contract's revision number and its history, a line per change.

Both planes ship separately and meet at different revisions. Fields are only added; a number is never used again.
`MIN_READER` is raised only when an older pod would do wrong with a new snapshot.

1  first: seal, shards, delivery, usage
"""

REVISION = 1
MIN_READER = 1
