"""The docs tell of everything there is, their links lead somewhere, and their examples are true to the code."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from stillwatch import errors
from stillwatch.records import TABLES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXPECTED_PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/concepts.md",
    "docs/tour.md",
    "docs/results.md",
    "docs/cli.md",
    "docs/gateway-litellm.md",
)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PLACEHOLDERS = ("[", "{", "<")  # what a usage line starts a placeholder with
SHELL_OPERATORS = {"&&", "||", "|", ";", ">", ">>", "2>", "&"}
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One fenced block: its page, language and text."""

    page: str
    language: str
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def everything() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def mentioned(word: str) -> bool:
    """Whether the docs hold the word on its own, not as a part of a longer name."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", everything()) is not None


def explained(word: str) -> bool:
    """Whether the docs name it as code: `word`, or as a part of a longer piece of code."""
    return re.search(rf"`[^`\n]*(?<!\w){re.escape(word)}(?!\w)[^`\n]*`", everything()) is not None


def examples(*languages: str) -> list[Example]:
    found = [(page, *match) for page in PAGES for match in FENCE.findall(page.read_text(encoding="utf-8"))]
    return [Example(name_of(page), language, text) for page, language, text in found if language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors a forge gives to the page's headings."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(page)))
    return {title.replace(" ", "-") for title in titles}


def modules_in(package: str) -> list[str]:
    """Modules of the package that are not private."""
    names = [module.name for module in iter_modules(import_module(package).__path__)]
    return sorted(name for name in names if not name.startswith("_"))


@cache
def command_tree() -> Any:
    """The command line as click sees it."""
    from typer.main import get_command

    from stillwatch.cli import app

    return get_command(app)


def commands(command: Any, path: tuple[str, ...] = ("stillwatch",)) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words that call it."""
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path), command
    for name, child in sorted(children.items()):
        yield from commands(child, (*path, name))


def options(command: Any) -> set[str]:
    spellings = {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
    return {text for text in spellings if text.startswith("-")} | {"--help"}


def calls(example: Example) -> Iterator[list[str]]:
    """The calls of stillwatch that a reader would type from the example, as words."""
    text = example.text.replace("\\\n", " ")
    lines = [line for line in text.splitlines() if example.language != "console" or line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        for index, word in enumerate(words):
            if word.rpartition("/")[2] == "stillwatch":
                yield list(takewhile(is_concrete, words[index + 1 :]))


def is_concrete(word: str) -> bool:
    """Whether the word still belongs to the call and is not the placeholder of a usage line."""
    return word not in SHELL_OPERATORS and not word.startswith(PLACEHOLDERS)


def wrong_words(call: list[str]) -> list[str]:
    """Words of a call that name a command or an option that does not exist."""
    command = command_tree()
    for index, word in enumerate(call):
        children = getattr(command, "commands", None)
        if not children:
            break
        if word not in children:
            return [] if word in options(command) else [" ".join(call[: index + 1])]
        command = children[word]
    return [word for word in call if word.startswith("-") and word.partition("=")[0] not in options(command)]


def test_the_pages_a_reader_is_sent_to_exist() -> None:
    assert [page for page in EXPECTED_PAGES if not (ROOT / page).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    dead = []
    for target in (plain or picture for plain, picture in LINK.findall(prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


def test_every_command_is_in_the_docs() -> None:
    assert [call for call, _ in commands(command_tree()) if call not in everything()] == []


def test_every_option_is_in_the_docs() -> None:
    missing = {(call, o) for call, command in commands(command_tree()) for o in options(command) if o.startswith("--")}
    assert sorted((call, option) for call, option in missing if option != "--help" and not mentioned(option)) == []


def test_the_page_of_the_command_line_is_what_the_command_line_says(tmp_path: Path) -> None:
    typer = Path(sys.executable).with_name("typer")
    options = ["--name", "stillwatch", "--title", "Command line", "--output", str(tmp_path / "cli.md")]
    subprocess.run([typer, "stillwatch.cli", "utils", "docs", *options], cwd=ROOT, check=True, capture_output=True)
    again = (tmp_path / "cli.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == again, "run make docs"


def test_every_error_is_in_the_docs() -> None:
    raised = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert [name for name in raised if not explained(name)] == []


def test_every_table_is_in_the_docs() -> None:
    assert [table.name for table in TABLES if not explained(table.name)] == []


def test_every_signal_is_in_the_docs() -> None:
    from stillwatch.signals import signal_modules

    names = [module.__name__.rpartition(".")[2] for module in signal_modules()]
    assert names
    assert [name for name in names if not explained(name)] == []


def test_every_innocent_explanation_is_in_the_docs() -> None:
    names = [name for name in modules_in("stillwatch.campaigns.hypotheses") if name != "base"]
    assert names
    assert [name for name in names if not explained(name)] == []


@pytest.mark.parametrize("name", modules_in("stillwatch.ingest.formats"))
def test_every_log_format_has_a_page_that_names_its_account_and_its_clock(name: str) -> None:
    found = import_module(f"stillwatch.ingest.formats.{name}").FORMAT
    page = ROOT / "docs" / "formats" / f"{name}.md"
    assert page.is_file()
    text = page.read_text(encoding="utf-8")
    assert "account_id" in text
    assert re.search(r"\*\*clock\*\*", text, re.IGNORECASE) or "started_at" in text
    fields = re.findall(r"[\w.-]*[a-z][\w.-]*[._A-Z][\w.-]*\w", f"{found.account_field} {found.clock}")
    assert [field for field in fields if field not in text] == []


def test_examples_call_commands_and_options_that_exist() -> None:
    wrong = [(e.page, wrong_words(call)) for e in examples("console", "sh", "bash") for call in calls(e)]
    assert [(page, words) for page, words in wrong if words] == []


def test_examples_in_python_toml_and_json_can_be_read() -> None:
    readers = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads}
    for example in examples(*readers):
        try:
            readers[example.language](example.text)
        except (SyntaxError, ValueError) as error:
            pytest.fail(f"{example.page}: a {example.language} example cannot be read: {error}")


def test_the_make_targets_the_docs_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ |^)make ([a-z][a-z-]*)", everything(), re.MULTILINE))
    assert named - targets == set()
