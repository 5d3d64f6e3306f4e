"""Local mode: `switchyard up` runs the whole platform on one machine, on real engines, in the foreground."""
