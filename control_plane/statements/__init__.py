"""What a month came to, per cost centre: statements that never change once their month is closed."""
