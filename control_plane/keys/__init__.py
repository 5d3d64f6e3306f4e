"""Virtual keys, admin tokens and pod join tokens: mint, show once, rotate, revoke."""
