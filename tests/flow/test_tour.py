"""The tour tells the truth: its code runs from the first block to the last, and prints what the page says."""

from pathlib import Path

from tests.flow import tour


def test_every_block_of_the_tour_prints_what_the_page_says(tmp_path: Path) -> None:
    page = tour.PAGE.read_text(encoding="utf-8")
    assert tour.replayed(page, tmp_path) == page, "python -m tests.flow.tour writes the page anew"
