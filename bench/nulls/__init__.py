"""What stillwatch reports where there is nothing to find: `python -m bench.nulls`."""
