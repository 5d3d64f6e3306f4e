"""Who is told when a budget crosses a stage: channels, the outbox, and what goes out of it."""
