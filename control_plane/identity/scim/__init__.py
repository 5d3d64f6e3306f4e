"""SCIM 2.0: an identity provider tells one organization who its people and groups are.

A tree of its own below identity, with rows of its own: `models`. Pure: `filters` (text to a condition), `matching` (a
condition on a JSON value), `schemas` (what attributes there are), `documents` (a person's attributes), `patching`
(operations on a document). With the database: `queries` (a condition to rows), `services` (what follows for accounts,
memberships, teams, keys), `representation` (rows to JSON). `views` and `urls` are /scim/v2/, `api` the tokens in REST.
"""
