"""The admin REST API put together: who calls, which addresses exist, what is awaited across apps."""
