"""Access rules: which models, providers and regions may be used, and by whom."""
