"""Adapters that run inside gateways: they import `stillwatch.client` and nothing heavy."""
