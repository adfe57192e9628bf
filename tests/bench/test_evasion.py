"""The dose curves: cells are remembered, seeds are pooled honestly, a tiny sweep goes through the public commands."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.evasion.cells import CELLS, Cache, Cell, Figures, key_of
from bench.evasion.curves import counted, over_seeds, point
from bench.evasion.dimensions import BY_NAME, DIMENSIONS, USUAL_ACCOUNTS, doses_of
from bench.evasion.page import BEGIN, END, markdown, svg, table, write_page

from stillwatch.evaluation import doses
from stillwatch.evaluation.measures import Share

CELL = Cell("jun2026", 3, 0.001, 1, ("accounts=20",))


def figures(right: int, hostile: int = 100, wrong: int = 0) -> Figures:
    return Figures(right, right, hostile, wrong, wrong, 1_000, right / hostile, 5_000, 1.0)


def test_every_dose_of_every_curve_can_be_given_to_the_simulator() -> None:
    for dimension in DIMENSIONS:
        given = [f"{dimension.name}={dose.value}" for dose in dimension.doses if dose.value is not None]
        assert all(doses([one]).as_json() for one in given)
        assert len({dose.label for dose in dimension.doses}) == len(dimension.doses)


def test_a_quick_sweep_takes_the_ends_and_large_campaigns_are_measured_on_request() -> None:
    assert [dose.label for dose in doses_of(BY_NAME["paraphrase"], quick=True, large=False)] == ["0 %", "60 %"]
    sizes = [dose.label for dose in doses_of(BY_NAME["accounts"], quick=False, large=False)]
    assert sizes[0] == "5"
    assert sizes[-1] == "500"
    large = doses_of(BY_NAME["accounts"], quick=False, large=True)[-1]
    assert (large.value, large.customers) == ("5000", 5_000 / USUAL_ACCOUNTS)


def test_a_cell_is_known_by_its_parameters_its_files_and_the_package(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.write_text("one")
    with_file = Cell("jun2026", 3, 0.001, 1, ("accounts=20",), prompts=str(prompts))
    keys = {key_of(CELL, "a"), key_of(CELL, "b"), key_of(with_file, "a"), key_of(Cell("x", 3, 0.001, 1, ()), "a")}
    assert len(keys) == 4
    assert key_of(CELL, "a") == key_of(Cell("jun2026", 3, 0.001, 1, ("accounts=20",)), "a")


def test_cells_are_remembered_and_a_line_cut_short_is_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.keep("k", CELL, figures(7))
    with (tmp_path / "cache" / CELLS).open("a") as file:
        file.write('{"key": "half", "figu')
    again = Cache(tmp_path / "cache")
    assert again.known == {"k": figures(7)}
    again.keep("l", CELL, figures(8))
    assert Cache(tmp_path / "cache").known == {"k": figures(7), "l": figures(8)}


def test_an_interval_is_no_narrower_than_that_of_the_accounts_or_of_the_seeds() -> None:
    alike, apart = counted([(50, 100)] * 3), counted([(20, 100), (50, 100), (80, 100)])
    exact = Share(150, 300)
    assert alike is not None
    assert apart is not None
    assert alike.share == apart.share == 0.5
    assert (alike.low, alike.high) == (exact.low, exact.high)
    seeds = over_seeds([0.2, 0.5, 0.8])
    assert (apart.low, apart.high) == (seeds.low, seeds.high) == (0.0, 1.0)
    assert counted([(0, 0)]) is None
    assert over_seeds([0.4]).low is None


def test_nothing_found_by_any_seed_is_not_certain() -> None:
    nothing = counted([(0, 40)] * 3)
    assert nothing is not None
    assert nothing.high == Share(0, 120).high
    assert nothing.high > 0.02


def test_the_students_interval_is_that_of_the_textbook() -> None:
    """Three values, two degrees of freedom: 4.303 standard errors."""
    seeds = over_seeds([0.50, 0.52, 0.54])
    assert seeds.low == pytest.approx(0.52 - 4.303 * 0.02 / 3**0.5, abs=1e-4)


def test_tables_and_charts_show_every_dose() -> None:
    points = [point(dose.label, [figures(90, wrong=1), figures(80)]) for dose in BY_NAME["paraphrase"].doses]
    rows = table(BY_NAME["paraphrase"], points).splitlines()
    assert len(rows) == 2 + len(points)
    assert "85.0% (" in rows[2]
    assert "1 of 2,000 (at most 0.28%)" in rows[2]
    drawn = svg(BY_NAME["paraphrase"], points)
    texts = {element.text for element in ElementTree.fromstring(drawn).iter() if element.text}  # noqa: S314 - our own
    assert {"0 %", "60 %", "called distillation", "100%"} <= texts


def test_a_page_keeps_what_is_around_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    write_page(page, "new")
    write_page(page, "newer")
    assert page.read_text() == f"before\n\n{BEGIN}\n\nnewer\n{END}\n\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        write_page(page, "new")


def test_the_docs_page_has_the_marks_and_a_section_for_no_more_than_the_curves() -> None:
    text = (Path(__file__).parents[2] / "docs" / "evasion.md").read_text("utf-8")
    block = text[text.index(BEGIN) : text.index(END)]
    titles = re.findall(r"^### (.*)$", block, re.MULTILINE)
    assert set(titles) <= {dimension.title for dimension in DIMENSIONS}
    empty = markdown({name: [] for name in BY_NAME}, "about", images="images")
    assert empty.count("images/evasion-") == len(DIMENSIONS)


@pytest.mark.nightly
def test_a_tiny_sweep_is_measured_once_and_put_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    command = [sys.executable, "-m", "bench.evasion", "--quick", "--days", "1", "--only", "hygiene"]
    command += ["--accounts", "12", "--cache", str(tmp_path / "cache"), "--charts", str(tmp_path / "charts")]
    root = Path(__file__).parents[2]
    first = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    again = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert "2 cells, 2 of them to measure" in first.stderr
    assert "2 cells, 0 of them to measure" in again.stderr
    assert first.stdout == again.stdout
    assert "| 0 % |" in first.stdout
    assert "| 100 % |" in first.stdout
    assert (tmp_path / "charts" / "evasion-hygiene.svg").read_text().startswith("<svg")
    rows = [json.loads(line) for line in (tmp_path / "cache" / CELLS).read_text().splitlines()]
    asked = sorted(row["cell"]["doses"] for row in rows)  # the two ran side by side
    assert asked == [["accounts=12", f"hygiene={share}"] for share in (0, 1)]
    assert all(row["figures"]["customers"] > 50 for row in rows)
