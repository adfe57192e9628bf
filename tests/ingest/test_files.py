from pathlib import Path

import pytest

from stillwatch.errors import InputError
from stillwatch.ingest import input_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a.jsonl", "sub/c.parquet", ".hidden/x.jsonl", "sub/_SUCCESS", "sub/.part.crc"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    return tmp_path


def test_files_folders_and_globs_are_found_once_and_sorted(tree: Path) -> None:
    patterns = [str(tree / "*.jsonl"), str(tree), str(tree / "a.jsonl"), str(tree / "sub" / ".." / "a.jsonl")]
    found = [file.resolve() for file in input_files(patterns)]
    assert found == [tree / "a.jsonl", tree / "b.jsonl", tree / "sub" / "c.parquet"]
    assert input_files(list(reversed(patterns))) == input_files(patterns)


def test_globs_descend_into_folders(tree: Path) -> None:
    assert input_files([str(tree / "**" / "*.parquet")]) == [tree / "sub" / "c.parquet"]


def test_a_name_with_glob_characters_is_that_file(tree: Path) -> None:
    odd = tree / "log[1].jsonl"
    odd.write_text("x")
    assert input_files([str(odd)]) == [odd]


@pytest.mark.parametrize("pattern", ["none.jsonl", "*.none", "empty"])
def test_a_pattern_that_matches_nothing_is_an_error(tree: Path, pattern: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match="no input file matches"):
        input_files([str(tree), str(tree / pattern)])
