"""Write the JSON Schema of every table of `records` to `src/stillwatch/schemas`."""

import json
from pathlib import Path

from stillwatch.records import TABLES, json_schema

FOLDER = Path(__file__).parent.parent / "src" / "stillwatch" / "schemas"


def main() -> None:
    """Write one file per table."""
    for table in TABLES:
        text = json.dumps(json_schema(table), indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{table.name}.schema.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
