"""One request and its answer: six stages. Read `run.py` first."""
