"""What had leaked before a campaign was first reported, with a run every hour: `python -m bench.exposure`."""
