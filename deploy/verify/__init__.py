"""What anybody can check with files and public keys alone: an exported audit, a signed snapshot.

Reads no environment, asks no server, imports neither plane.
"""
