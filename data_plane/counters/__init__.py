"""What pods share through the counter store."""
