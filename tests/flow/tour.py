"""The tour replayed: every block of docs/tour.md is run, and what it prints put in the place of what the page says.

python -m tests.flow.tour        writes the page anew, after a change that it should tell of
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"^```(console|python|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECONDS = re.compile(r"in \d+\.\d s\.")
WIDTH = "160"  # columns of the terminal that the page shows


def replayed(page: str, folder: Path) -> str:
    """The page with what its blocks print now, run in this folder; the seconds that a scan takes stay as they are.

    Raises RuntimeError naming the command that failed; what a block of Python raises is passed on.
    """
    session: dict[str, Any] = {}
    environment = {"STILLWATCH_KEY_FILE": "demo/tour.key", "COLUMNS": WIDTH}
    printed, parts, end = "", [], 0
    with contextlib.chdir(folder), mock.patch.dict(os.environ, environment):
        for block in BLOCK.finditer(page):
            language, text = block.groups()
            if language == "python":
                printed = _python(text, session)
            elif language == "console":
                text = "".join(_console(text))
            else:
                text = printed
            parts += [page[end : block.start()], f"```{language}\n{text}```"]
            end = block.end()
    return "".join([*parts, page[end:]])


def _python(text: str, session: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, str(PAGE), "exec"), session)  # noqa: S102 - the page is ours
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def _console(text: str) -> Iterator[str]:
    """The commands of a block, each with what it prints, but for the seconds, which are the page's."""
    said = SECONDS.findall(text)
    for line in text.splitlines():
        if not line.startswith("$ "):
            continue
        yield f"{line}\n"
        command = line.removeprefix("$ ")
        if command.startswith("export "):
            continue  # for the reader's shell: the key and where the command lies
        for printed in _run(command).splitlines():
            told = SECONDS.sub(lambda _: said.pop(0), printed) if said else printed
            yield f"{told.rstrip()}\n"


def _run(command: str) -> str:
    program = shlex.split(command)[0]
    modules: Mapping[str, str] = {"stillwatch": f"{shlex.quote(sys.executable)} -m stillwatch"}
    modules |= {"python": shlex.quote(sys.executable)}
    line = modules.get(program, program) + command.removeprefix(program)
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=known, check=False)
    if done.returncode:
        raise RuntimeError(f"{command!r} of the tour ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tour-") as scratch:
        PAGE.write_text(replayed(PAGE.read_text(encoding="utf-8"), Path(scratch)), encoding="utf-8")
