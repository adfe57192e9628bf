"""One family of evidence dropped at a time: `python -m bench.ablations`."""
