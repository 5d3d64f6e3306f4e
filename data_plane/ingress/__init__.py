"""HTTP in: an aiohttp request becomes an Arrival, an Answer goes back as bytes."""
