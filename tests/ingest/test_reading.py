"""What can go wrong with a log, and that the run goes on."""

import gzip
import json
import random
import resource
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from stillwatch.errors import SettingsError
from stillwatch.ingest import Key, exchanges, formats, input_files, readers

ROW = {"exchange_id": "e1", "started_at": "2026-03-02T12:00:00Z", "account_id": "a1", "model": "m", "prompt": "hello"}


def log(count: int, **changes: Any) -> str:
    return "".join(json.dumps({**ROW, "exchange_id": f"e{i}", **changes}) + "\n" for i in range(count))


@pytest.mark.parametrize(
    "pack", [str.encode, lambda s: gzip.compress(s.encode()), lambda s: zstandard.compress(s.encode())]
)
def test_a_log_is_read_plain_or_compressed(read: Any, pack: Callable[[str], bytes]) -> None:
    rows, rejected = read(pack(log(3)))
    assert [row["exchange_id"] for row in rows] == ["e0", "e1", "e2"]
    assert rejected == []


def test_an_empty_file_is_no_error(read: Any) -> None:
    for content in (b"", b" \n\n", gzip.compress(b""), b"\xef\xbb\xbf"):
        assert read(content) == ([], [])


def test_a_binary_file_is_rejected_once(read: Any) -> None:
    for options in ({}, {"input_format": "jsonl"}):
        rows, rejected = read(random.Random(1).randbytes(20_000), **options)
        assert rows == []
        assert [(r["line"], r["reason"].partition(":")[0].partition(",")[0]) for r in rejected] in (
            [(None, "a binary file that is no log")],
            [(None, "a binary file")],
        )


def test_utf16_is_named(read: Any) -> None:
    _, rejected = read(log(2).encode("utf-16"))
    assert rejected[0]["reason"] == "the text is UTF-16; convert it to UTF-8"


def test_text_of_no_known_format_says_how_to_force_one(read: Any) -> None:
    _, rejected = read("Dear diary,\ntoday nothing happened.\n")
    assert rejected[0]["line"] is None
    assert "--input-format" in rejected[0]["reason"]
    assert "diary" not in rejected[0]["reason"]


def test_a_corrupt_parquet_file_is_rejected(read: Any, parquet: Any) -> None:
    file = parquet({name: [value] for name, value in ROW.items()})
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"PAR1" + b"\0" * 100, b"PAR1"):
        rows, rejected = read(content)
        assert rows == []
        assert len(rejected) == 1
        assert "Parquet file is corrupt" in rejected[0]["reason"]
    _, rejected = read(gzip.compress(whole))
    assert "compressed as a whole" in rejected[0]["reason"]


def test_a_parquet_file_with_a_damaged_page_keeps_the_rows_before_it(read: Any, parquet: Any) -> None:
    columns = {name: [value] * 4_000 for name, value in ROW.items()} | {"prompt": [f"p{i}" for i in range(4_000)]}
    file = parquet(columns, row_group_size=1_000, compression="snappy")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3_000] = random.Random(2).randbytes(3_000)
    rows, rejected = read(bytes(content))
    assert 0 < len(rows) < 4_000
    assert rejected[0]["line"] == len(rows) + 1


def test_a_truncated_gzip_keeps_the_good_rows_and_tells_once(read: Any) -> None:
    lines = "".join(
        json.dumps({**ROW, "exchange_id": f"e{i}", "prompt": str(random.Random(i).random())}) + "\n"
        for i in range(2_000)
    )
    packed = gzip.compress(lines.encode())
    rows, rejected = read(packed[: len(packed) // 2])
    assert 500 < len(rows) < 1_500
    assert [row["exchange_id"] for row in rows] == [f"e{i}" for i in range(len(rows))]
    assert rejected[-1]["reason"] == "the compressed data ends early; the rest is missing"
    assert len(rejected) <= 2


def test_a_bomb_is_rejected_clearly(read: Any) -> None:
    rows, rejected = read(gzip.compress(bytes(80 << 20)), input_format="jsonl")
    assert rows == []
    assert "1000 times its size" in rejected[-1]["reason"]


def test_a_fifty_megabyte_line_is_rejected_with_its_number(tmp_path: Path, key: Key) -> None:
    path = tmp_path / "log.jsonl"
    with path.open("w") as file:
        file.write(log(2))
        file.write('{"account_id": "a1", "prompt": "')
        for _ in range(50):
            file.write("x" * (1 << 20))
        file.write('"}\n' + log(1))
    tracemalloc.start()
    batches = list(exchanges([path], key=key))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(batch.exchanges) for batch in batches) == 3
    assert [(r["line"], r["reason"]) for batch in batches for r in batch.rejected.to_pylist()] == [
        (3, "longer than 16 MB")
    ]
    assert peak < 6 * (16 << 20)


def test_a_folder_with_foreign_files_is_read_as_far_as_it_goes(tmp_path: Path, key: Key) -> None:
    (tmp_path / "a.jsonl").write_text(log(2))
    (tmp_path / "README").write_text("Logs of March.")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n" + random.Random(1).randbytes(3_000))
    (tmp_path / "old.zip").write_bytes(b"PK\x03\x04rest")
    (tmp_path / "empty.log").write_text("")
    seen: list[tuple[str, str]] = []
    batches = list(
        exchanges(input_files([str(tmp_path)]), key=key, on_file=lambda f, name: seen.append((f.name, name)))
    )
    assert sum(len(batch.exchanges) for batch in batches) == 2
    assert {Path(r["file"]).name for b in batches for r in b.rejected.to_pylist()} == {"README", "image.png", "old.zip"}
    assert dict(seen)["a.jsonl"] == "jsonl"
    assert dict(seen)["README"] == "empty or unreadable"
    assert {Path(batch.file).name for batch in batches} == set(dict(seen))


def test_a_file_that_vanished_or_is_a_folder_is_rejected(tmp_path: Path, key: Key) -> None:
    batches = list(exchanges([tmp_path / "gone.jsonl", tmp_path], key=key))
    reasons = [r["reason"] for batch in batches for r in batch.rejected.to_pylist()]
    assert reasons == ["cannot be read: No such file or directory", "cannot be read: Is a directory"]


def test_an_unknown_format_name_is_an_error_that_lists_them(tmp_path: Path, key: Key) -> None:
    with pytest.raises(SettingsError, match="the formats are: anthropic_batch, bedrock, csv"):
        list(exchanges([tmp_path], key=key, input_format="excel"))


def test_rows_without_account_or_time_are_rejected_by_line(read: Any) -> None:
    lines = [
        json.dumps(ROW),
        json.dumps({**ROW, "account_id": ""}),
        json.dumps({**ROW, "account_id": None}),
        json.dumps({**ROW, "started_at": "yesterday"}),
        json.dumps({**ROW, "started_at": "1999-01-01"}),
        "[1, 2]",
        '"text"',
    ]
    rows, rejected = read("\n".join(lines))
    assert len(rows) == 1
    assert sorted((r["line"], r["reason"].partition(":")[0]) for r in rejected) == [
        (2, "no account"),
        (3, "no account"),
        (4, "no usable time"),
        (5, "no usable time"),
        (6, "a JSON object was expected"),
        (6, "a JSON object was expected"),
        (7, "a JSON object was expected"),
    ]


def test_no_account_column_at_all_names_what_was_looked_for(read: Any, parquet: Any) -> None:
    _, rejected = read(parquet({"started_at": [1772452800], "prompt": ["x"]}))
    assert [(r["line"], r["reason"].partition(":")[0]) for r in rejected] == [(None, "no column account_id")]
    _, rejected = read("started_at,prompt\n1772452800,x\n1772452800,y\n", input_format="csv")
    assert [(r["line"], r["reason"].partition(":")[0]) for r in rejected] == [(None, "no column account_id")]


def test_no_prompt_column_at_all_is_fine(read: Any, parquet: Any) -> None:
    rows, rejected = read(parquet({"started_at": [1772452800], "account_id": ["a"], "model": ["m"]}))
    assert rejected == []
    assert (rows[0]["prompt"], rows[0]["completion"]) == (None, None)


def test_a_missing_model_is_unknown_and_empty_strings_are_missing(read: Any) -> None:
    rows, _ = read(json.dumps({**ROW, "model": "", "prompt": "", "session_id": "", "input_tokens": -4, "status": 200}))
    assert (rows[0]["model"], rows[0]["prompt"], rows[0]["session_id"]) == ("unknown", None, None)
    assert (rows[0]["input_tokens"], rows[0]["status"]) == (None, "200")


def test_times_of_every_kind_may_stand_in_one_file(read: Any) -> None:
    written = [
        "2026-03-02T12:00:00Z",
        "2026-03-02T14:00:00+02:00",
        "2026-03-02T12:00:00",
        1772452800,
        1772452800000,
        "1772452800.0",
    ]
    rows, rejected = read("".join(json.dumps({**ROW, "started_at": at}) + "\n" for at in written))
    assert rejected == []
    assert {row["started_at"] for row in rows} == {datetime(2026, 3, 2, 12, tzinfo=UTC)}


def test_rows_out_of_order_are_read_as_they_stand(read: Any) -> None:
    at = [1772452800 + offset for offset in (50, 10, 90, 0)]
    rows, rejected = read("".join(json.dumps({**ROW, "started_at": s}) + "\n" for s in at))
    assert rejected == []
    assert [int(row["started_at"].timestamp()) for row in rows] == at


def test_identifiers_are_hashed_the_same_in_every_spelling_and_file(read: Any, parquet: Any, key: Key) -> None:
    spellings = ["1.2.3.4", "::ffff:1.2.3.4", "1.2.3.4:99", "6.6.6.6, 1.2.3.4"]
    rows, _ = read("".join(json.dumps({**ROW, "client_ip": ip, "end_user_id": "u"}) + "\n" for ip in spellings))
    more, _ = read(parquet({**{name: [value] for name, value in ROW.items()}, "client_ip": ["1.2.3.4"]}))
    assert {row["client_ip"] for row in rows + more} == {key.identifier("ip", "1.2.3.4")}
    assert {row["client_ip_prefix"] for row in rows + more} == {key.identifier("ip_prefix", "1.2.3.0/24")}
    assert rows[0]["end_user_id"] == key.identifier("end_user", "u")
    assert rows[0]["account_id"] == "a1"


def test_a_given_prefix_counts_when_the_address_is_hashed_already(read: Any, key: Key) -> None:
    rows, _ = read(json.dumps({**ROW, "client_ip": "f00d" * 8, "client_ip_prefix": "1.2.3.0/24"}))
    assert rows[0]["client_ip"] == key.identifier("ip", "f00d" * 8) != "f00d" * 8
    assert rows[0]["client_ip_prefix"] == key.identifier("ip_prefix", "1.2.3.4")


def test_no_plain_identifier_survives(read: Any) -> None:
    secrets = {
        "client_ip": "203.0.113.77",
        "end_user_id": "anna@example.com",
        "reasoning_issued": ["opaque-artefact"],
        "reasoning_replayed": '["opaque-artefact"]',
    }
    rows, _ = read(json.dumps({**ROW, **secrets}))
    written = json.dumps(rows, default=str)
    assert not any(secret in written for secret in ("203.0.113", "anna", "opaque"))
    assert rows[0]["reasoning_issued"] == rows[0]["reasoning_replayed"] is not None


def test_an_id_made_from_content_depends_on_nothing_but_the_row(read: Any, parquet: Any) -> None:
    bare = [{k: v for k, v in ROW.items() if k != "exchange_id"} | {"prompt": f"p{i}"} for i in range(50)]
    shuffled = random.Random(1).sample(bare, len(bare))
    first = {r["prompt"]: r["exchange_id"] for r in read("".join(json.dumps(r) + "\n" for r in bare))[0]}
    second = {r["prompt"]: r["exchange_id"] for r in read("".join(json.dumps(r) + "\n" for r in shuffled))[0]}
    third = {r["prompt"]: r["exchange_id"] for r in read(parquet({k: [r[k] for r in bare] for k in bare[0]}))[0]}
    assert first == second == third
    assert len(set(first.values())) == 50


def test_rows_that_spell_alike_across_columns_get_different_ids(read: Any) -> None:
    pairs = [("a\x1fb", "c"), ("a", "b\x1fc"), ("a", None), (None, "a"), ("a~", None), ("a", "~")]
    bare = {k: v for k, v in ROW.items() if k != "exchange_id"}
    rows, _ = read("".join(json.dumps({**bare, "prompt": p, "completion": c}) + "\n" for p, c in pairs))
    assert len({row["exchange_id"] for row in rows}) == len(pairs)


def test_text_that_clients_can_break_is_kept(read: Any, parquet: Any) -> None:
    lines = b"\n".join(
        json.dumps(ROW).encode().replace(b"hello", text)
        for text in (b"hello", b"caf\xe9", b"nul \\u0000", b"\\ud83d half")
    )
    rows, rejected = read(lines)
    assert rejected == []
    assert [row["prompt"] for row in rows] == ["hello", "caf\ufffd", "nul \0", "\ufffd\ufffd\ufffd half"]
    binary = pa.array([b"caf\xe9", b"nul \0"])
    columns = {name: [value] * 2 for name, value in ROW.items()} | {"prompt": binary}
    assert [row["prompt"] for row in read(parquet(columns))[0]] == ["caf\ufffd", "nul \0"]


def test_batches_are_bounded_in_rows_and_bytes(parquet: Any, key: Key) -> None:
    rows = 120_000
    many = parquet(
        {"exchange_id": [str(i) for i in range(rows)], "started_at": [1772452800] * rows, "account_id": ["a"] * rows}
    )
    sizes = [len(batch.exchanges) for batch in exchanges([many], key=key)]
    assert sum(sizes) == rows
    assert max(sizes) <= readers.MAX_ROWS


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_long_texts_make_small_batches_even_when_they_repeat(parquet: Any, key: Key, is_dictionary: bool) -> None:
    """In Parquet a text that repeats costs a few bytes a row; written out it must not fill memory."""
    rows, text = 3_000, "long prompt " * 20_000
    file = parquet(
        {
            "exchange_id": [str(i) for i in range(rows)],
            "started_at": [1772452800] * rows,
            "account_id": ["a"] * rows,
            "prompt": pa.array([text] * rows).dictionary_encode()
            if is_dictionary
            else pa.array([text] * 300 + ["x"] * (rows - 300)),
        },
        dictionary_pagesize_limit=1 << 24,
    )
    assert file.stat().st_size < 50 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = 0
    for batch in exchanges([file], key=key):
        found += len(batch.exchanges)
        assert batch.exchanges.nbytes < readers.MAX_TEXT_BYTES + (8 << 20)
    assert found == rows
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 << 10


def test_progress_never_goes_back(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_GATHERED_ROWS", 100)
    path = tmp_path / "log"
    path.write_text(log(20_000))
    read = [batch.bytes_read for batch in exchanges([path], key=key)]
    assert read == sorted(read)
    assert read[-1] == path.stat().st_size
    assert len(set(read)) > 2


def test_formats_are_found_by_convention() -> None:
    assert list(formats()) == sorted(
        [
            "parquet",
            "jsonl",
            "csv",
            "litellm",
            "otlp",
            "envoy",
            "bedrock",
            "vllm",
            "nginx",
            "openai_batch",
            "anthropic_batch",
        ]
    )
    for name, found in formats().items():
        assert found.name == name
        assert found.account_field
        assert found.clock


def test_a_value_that_nobody_foresaw_costs_only_its_row(read: Any, monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    from stillwatch.ingest import exchange_batches

    real = exchange_batches.hashed_addresses

    def fails_on_one(key: Key, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        if "1.1.1.1" in values.to_pylist():
            raise TypeError("planted")
        return real(key, values)

    monkeypatch.setattr(exchange_batches, "hashed_addresses", fails_on_one)
    lines = [json.dumps({**ROW, "exchange_id": f"e{i}", "client_ip": f"1.1.1.{i}"}) for i in range(7)] + ["broken"]
    rows, rejected = read("\n".join(lines))
    assert [row["exchange_id"] for row in rows] == ["e0", "e2", "e3", "e4", "e5", "e6"]
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (8, "not JSON: Expecting value at column 1"),
        (2, "a value could not be converted (TypeError)"),
    ]


def test_of_two_formats_the_one_that_knows_more_rows_is_chosen(read: Any) -> None:
    spans = json.dumps({"resourceSpans": []})
    seen: list[str] = []
    rows, rejected = read(log(3) + spans + "\n", on_file=lambda _, name: seen.append(name))
    assert seen == ["jsonl"]
    assert (len(rows), len(rejected)) == (3, 1)
    _, rejected = read(log(1) + spans + "\n")
    assert "could be more than one of jsonl, otlp: name it with --input-format" in rejected[0]["reason"]


def test_a_disk_that_fails_half_way_keeps_what_came_before(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text(log(20_000))
    real = Path.open

    class Failing:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "Failing":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def read(self, size: int) -> bytes:
            if self.file.tell() >= 1 << 20:
                raise OSError(5, "Input/output error")
            return self.file.read(size)

    monkeypatch.setattr(Path, "open", lambda self, mode="r": Failing(real(self, mode)))
    rows, rejected = read(path)
    assert 5_000 < len(rows) < 20_000
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (len(rows) + 1, "cannot be read from here on: Input/output error")
    ]
