"""Gateways that ask before each request: Envoy over HTTP and gRPC, nginx over HTTP."""

from stillwatch.server.gateways.checks import Answer, Asked, Checks

__all__ = ["Answer", "Asked", "Checks"]
