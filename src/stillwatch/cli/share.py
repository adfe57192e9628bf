"""Commands that share: what other providers may be told about campaigns."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stillwatch.cli.commands import app
from stillwatch.cli.output import say

share_app = typer.Typer(help="Share indicators with other providers, and use theirs.", no_args_is_help=True)
app.add_typer(share_app, name="share")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the scan.", exists=True, file_okay=False)]


@share_app.command("export")
def share_export(
    folder: Folder,
    tlp: Annotated[str, typer.Option(help="TLP 2.0 marking.")] = "amber",
    file: Annotated[Path, typer.Option("--out", help="File to write.", dir_okay=False)] = Path("bundle.json"),
) -> None:
    """Write a STIX 2.1 bundle of the campaigns to a file."""
    from stillwatch import sharing, store

    run = store.read_run(folder)
    text = sharing.bundle(store.read_campaigns(folder), now=datetime.now(UTC), tlp=tlp, key_id=run.get("key_id"))
    store.write_text(file, text)
    say(f"{file}: a bundle under TLP:{tlp.upper()}.")
