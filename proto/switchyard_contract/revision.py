"""The contract's revision number and its history, a line per change.

Both planes ship separately and meet at different revisions. Fields are only added; a number is never used again.
`MIN_READER` is raised only when an older pod would do wrong with a new snapshot.

1  first: seal, shards, delivery, usage
2  keys with scopes: routes and source networks (a key shard that has one needs this reader)
3  signed heads of the audit chains in the global shard
4  rules: access, rates, budgets, caps, provider limits, metadata keys; charges and decisions on events; floors
5  facts of turns, savings, stages, units and parts on events; audio, image and unit prices, discounts, unknown models
"""

REVISION = 5
MIN_READER = 1
SCOPED_KEYS = 2
"""The first reader that heeds a key's routes and source networks; an older one would let too much through."""
RULES = 4
"""The first reader that obeys rules; an older one would let everything through."""
