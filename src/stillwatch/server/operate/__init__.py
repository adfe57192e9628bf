"""Running the service: health, metrics, retention, checks before it starts."""
