"""From the attempts of one session to turns, findings and sums. Pure: no clock, no database, no settings."""
