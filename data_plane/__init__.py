"""The data plane: a stateless pod that serves model traffic on signed policy. Never imports Django or Celery."""
