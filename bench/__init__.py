"""Benchmarks: what is slow, what is found and what is proven; figures go to docs/results.md with their command."""
