"""Published JSON Schemas: one per table of `records`, and those of campaigns and policy."""

from stillwatch.schemas.published import schema

__all__ = ["schema"]
