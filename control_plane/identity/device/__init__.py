"""Signing in from a command line: a code is shown there and approved in the console (RFC 8628)."""
