"""Upstream vendors, one file each: what they speak, where they are, how they want to be shown a credential."""
