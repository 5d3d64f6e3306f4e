"""`switchyard setup <tool>`: our entries merged into a coding tool's own file, and taken out again."""
