"""Write a new signal from the template, or the pages of all signals.

python scripts/new_signal.py NAME        signals/NAME.py, its test and its page
python scripts/new_signal.py --pages     docs/signals/*.md from the docstrings
"""

import argparse
import sys
from pathlib import Path
from types import ModuleType

from stillwatch.records import SIGNALS
from stillwatch.signals import signal_modules

ROOT = Path(__file__).parents[1]

MODULE = '''"""<What is measured, in one sentence.>

Why:    <what behaviour it shows>
Misses: <how an adversary breaks it, and which honest use looks the same>
Source: <authors (year), title, venue; or: own>
"""

from collections.abc import Mapping

import pyarrow as pa

from stillwatch.signals import oracle
from stillwatch.signals.text import Batch, nullable

COLUMNS = ("{name}",)  # each needs a Column in records.SIGNALS
READS = ("prompt",)  # columns of an exchange, a text among them; null where all texts it reads are


def signal(batch: Batch) -> dict[str, pa.Array]:
    """One value per exchange; null without a token in the prompt."""
    return {{"{name}": nullable(batch.prompt.counts, batch.prompt.is_empty)}}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange, in plain Python."""
    prompt = exchange.get("prompt")
    return {{"{name}": len(oracle.tokens(str(prompt) if prompt else None)) or None}}
'''

TEST = '''"""<What is measured.>"""


def test_it_fires(signal_of):
    assert signal_of("two words")["{name}"] == 2


def test_a_look_alike_does_not(signal_of):
    assert signal_of("?!")["{name}"] is None
'''


def page(module: ModuleType) -> str:
    """The page of a signal: its docstring and the columns it fills."""
    name = module.__name__.split(".")[-1]
    summary, _, rest = (module.__doc__ or "").strip().partition("\n")
    rows = "".join(f"| `{c.name}` | `{c.type}` | {c.meaning} |\n" for c in map(SIGNALS.column, module.COLUMNS))
    return (
        f"# {name}\n\n{summary}\n\n| column | type | meaning |\n|---|---|---|\n{rows}\n"
        f"```text{rest.rstrip()}\n```\n\nSource: `src/stillwatch/signals/{name}.py`, where `signal` is the kernel and "
        "`reference` the plain Python it must equal.\n"
    )


def write_pages() -> None:
    """Write the page of every signal."""
    for module in signal_modules():
        name = module.__name__.split(".")[-1]
        (ROOT / "docs" / "signals" / f"{name}.md").write_text(page(module), encoding="utf-8")


def write_signal(name: str, root: Path) -> list[Path]:
    """Write the module and the test of a new signal; refuses to overwrite."""
    files = {
        root / "src" / "stillwatch" / "signals" / f"{name}.py": MODULE,
        root / "tests" / "signals" / f"test_{name}.py": TEST,
    }
    for path in files:
        if path.exists():
            raise FileExistsError(f"{path} exists: choose another name or edit it")
    for path, template in files.items():
        path.write_text(template.format(name=name), encoding="utf-8")
    return list(files)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", help="a noun in snake_case, the column's name too")
    parser.add_argument("--pages", action="store_true", help="write docs/signals/*.md")
    arguments = parser.parse_args()
    if arguments.pages:
        write_pages()
    elif arguments.name and arguments.name.isidentifier() and arguments.name.islower():
        for path in write_signal(arguments.name, ROOT):
            print(f"wrote {path.relative_to(ROOT)}")
        print(f"next: add Column({arguments.name!r}, ...) to SIGNALS in records.py, fill the docstring, then")
        print("python scripts/new_signal.py --pages")
    else:
        sys.exit("give a name in snake_case, as in: python scripts/new_signal.py question_count")


if __name__ == "__main__":
    main()
