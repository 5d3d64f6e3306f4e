"""Ways to reach people: one file each, which exports `CHANNEL`. `catalog` collects them."""
