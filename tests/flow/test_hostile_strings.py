"""Account ids, models, user agents and prompts are the attacker's words: nothing in them acts on who reads results."""

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.flow import planted, scans

from stillwatch import store

MARK = "pwned"
HOSTILE = (
    f"<script>alert('{MARK}')</script>",
    f'"><img src=x onerror={MARK}()>',
    f'=HYPERLINK("https://example.org/{MARK}")',
    f"\x1b[2J\x1b]0;{MARK}\x07",
    f"\u202e{MARK}\u2066\u200b",
    f"a\x00{MARK}",
    f"</script></style><svg onload={MARK}()>",
    f"{{{{ {MARK} }}}}",
    f"line\nbreak\u2028{MARK}",
    f"'; DROP TABLE campaigns; -- {MARK}",
)
ACTIVE = {"script", "iframe", "object", "embed", "form", "base", "link", "foreignobject"}


def name(account_id: str) -> str:
    """A hostile name for every account of the harvest; the others keep theirs."""
    number = int(account_id[-3:])
    return f"{HOSTILE[number % len(HOSTILE)]}{number}" if account_id.startswith("harvest") else account_id


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a scan of the planted world in which the harvest writes hostile strings wherever it can."""
    rows = []
    for number, row in enumerate(planted.exchanges()):
        if row["account_id"].startswith("harvest"):
            told = HOSTILE[number % len(HOSTILE)]
            row = {**row, "model": HOSTILE[0], "user_agent": HOSTILE[3], "prompt": f"{row['prompt']} {told}"}  # noqa: PLW2901
        rows.append({**row, "account_id": name(row["account_id"])})
    folder = planted.write(tmp_path_factory.mktemp("hostile") / "world", rows)
    registered = [{**row, "account_id": name(row["account_id"])} for row in planted.accounts()]
    planted.write_accounts(folder, registered)
    scans.scan(folder, folder / "out")
    return folder / "out"


class _Page(HTMLParser):
    """Notes elements that act, handlers of what happens on the page, and addresses that run."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE:
            self.active.append(tag)
        for attribute, value in attrs:
            if attribute.startswith("on") or re.match(r"\s*(javascript|data:text/html)", value or "", re.IGNORECASE):
                self.active.append(f"{tag} {attribute}")


def is_harmless(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp"}


def test_the_hostile_harvest_is_still_found(out: Path) -> None:
    [campaign] = scans.with_verdict(store.read_campaigns(out), "distillation")
    assert len(campaign["account_ids"]) == planted.HARVEST
    assert any("script" in account for account in campaign["account_ids"])


def test_the_report_has_nothing_that_acts(out: Path) -> None:
    text = (out / store.REPORT).read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.active == []
    assert MARK in text, "the page does not show the account at all, so this test proves nothing"
    assert "Content-Security-Policy" in text
    assert re.search(r"default-src 'none'", text)
    assert all(is_harmless(character) for character in text)


def test_the_bundle_holds_none_of_it(out: Path) -> None:
    assert MARK not in (out / store.BUNDLE).read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("campaigns", "list"), ("campaigns", "list", "--format", "csv")])
def test_printed_text_has_no_control_characters(words: tuple[str, ...], out: Path) -> None:
    done = scans.run(*words, "--out", out, COLUMNS="400")
    assert done.returncode == 0, done.stderr
    assert all(is_harmless(character) for character in done.stdout + done.stderr)


def test_printed_json_has_no_raw_control_characters_and_loses_nothing(out: Path) -> None:
    done = scans.run("campaigns", "list", "--format", "json", "--out", out)
    assert all(is_harmless(character) for character in done.stdout)
    assert json.loads(done.stdout) == store.read_campaigns(out)


def test_one_campaign_printed_has_no_raw_control_characters_either(out: Path) -> None:
    [campaign] = scans.with_verdict(store.read_campaigns(out), "distillation")
    done = scans.run("campaigns", "show", campaign["campaign_id"], "--out", out)
    assert all(is_harmless(character) for character in done.stdout)
    assert json.loads(done.stdout) == campaign


def test_no_csv_cell_is_a_formula(out: Path) -> None:
    done = scans.run("campaigns", "list", "--format", "csv", "--out", out)
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert len(rows) == 1 + len(store.read_campaigns(out))
    assert not any(cell.lstrip()[:1] in set("=+-@\t\r") for row in rows for cell in row)


@pytest.mark.parametrize("hostile", [HOSTILE[3], HOSTILE[4]])
def test_words_on_standard_error_are_harmless_too(hostile: str, out: Path) -> None:
    done = scans.run("verdict", hostile, "guilty", "--because", "x", "--out", out)
    assert done.returncode == 1
    assert all(is_harmless(character) for character in done.stderr)
    assert "Traceback" not in done.stderr
