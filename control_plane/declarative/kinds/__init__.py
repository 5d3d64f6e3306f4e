"""One file per kind of object that a policy file may hold; `catalog.py` finds them."""
