"""The harvest test on windows of real prompts, with sources kept apart: docs/harvest-benchmark.md."""
