"""Tests of the data plane; they mirror its paths."""
