"""Where tables live and work runs."""

from stillwatch.engines.base import BatchFunction, Engine

__all__ = ["BatchFunction", "Engine"]
