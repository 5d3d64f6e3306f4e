"""Tests of the upstream pool against raw scripted servers."""
