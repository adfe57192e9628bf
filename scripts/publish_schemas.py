"""Write the JSON Schema of every table of `records`, and of what is shared, to `src/stillwatch/schemas`."""

import json
from pathlib import Path

from stillwatch.records import TABLES, json_schema
from stillwatch.sharing.shapes import exported_objects_schema

FOLDER = Path(__file__).parent.parent / "src" / "stillwatch" / "schemas"


def main() -> None:
    """Write one file per table, and one for the objects that leave."""
    schemas = {table.name: json_schema(table) for table in TABLES} | {"exported_objects": exported_objects_schema()}
    for name, schema in schemas.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.schema.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
