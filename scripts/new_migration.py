"""Write the next step of the schema: what the tables are, less what the steps so far make of an empty database.

    make migration NAME=<name>

Read what it wrote before it is committed; a renamed column is seen as one that goes and one that comes.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from stillwatch.server.database import Database
from stillwatch.server.migrations.running import config, upgraded


def written(name: str) -> Path:
    """The file of the next step."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/records.db")
        try:
            with database.write() as connection:
                held: Config = config(connection)
                versions = Path(held.get_main_option("script_location") or "") / "versions"
                number = len(list(versions.glob("r*.py"))) + 1
                if number > 1:
                    upgraded(connection)
                script = command.revision(held, message=name, autogenerate=True, rev_id=f"r{number:04}")
        finally:
            database.close()
    if script is None or isinstance(script, list):
        raise SystemExit("alembic wrote no single step")
    return Path(script.path)


if __name__ == "__main__":
    print(written(sys.argv[1]))
