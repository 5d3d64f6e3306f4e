"""What both planes must say or compute alike. Imports neither plane."""
