"""How people prove who they are to an organization: single sign-on, and what follows from it.

`scim` and `device` below are Django apps of their own, with their own models and migrations.
"""
