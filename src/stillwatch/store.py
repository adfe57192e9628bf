"""The output folder of a scan: written file by file, each in one step, and read again by the next run.

campaigns.json  accounts.parquet  links.parquet  seen.parquet  rejected.parquet  bundle.json  report.html  run.json
known_campaigns.json (campaigns the next scan should know, dormant ones too)
vocabulary.parquet (fingerprints by which later exchanges are recognised, without accounts)
leads.parquet (what partners sent: `stillwatch share pull` writes it, the next scan reads it)
lead_matches.parquet (which campaigns bear what partners sent)
recognised.json (campaigns of partners that go on here, and who bears them)
verdicts.jsonl (what analysts said; the next scan reads it)
.work (intermediate tables; removed at the end, and at the start when a run was killed)
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.errors import StoreError
from stillwatch.locks import alone
from stillwatch.records import LEADS as LEAD_RECORDS
from stillwatch.records import SEEN as SEEN_RECORDS
from stillwatch.records import VERDICT_RECORDS, arrow_schema

CAMPAIGNS, ACCOUNTS, LINKS, REJECTED = "campaigns.json", "accounts.parquet", "links.parquet", "rejected.parquet"
SEEN, BUNDLE, REPORT, VOCABULARY = "seen.parquet", "bundle.json", "report.html", "vocabulary.parquet"
LEADS, LEAD_MATCHES, RECOGNISED = "leads.parquet", "lead_matches.parquet", "recognised.json"
RUN, VERDICTS, KNOWN = "run.json", "verdicts.jsonl", "known_campaigns.json"
_NOT_ASCII = re.compile(r"[^\n -~]")
_PARTIAL = ".partial"  # ends the hidden name of a file that is being written


@contextmanager
def locked(out: Path) -> Iterator[Path]:
    """Hold the output folder, so that two runs cannot mix; yields an empty work folder that is removed afterwards.

    What a killed run left half written goes first: it may hold an account that is to be erased.

    Raises:
        StoreError: the folder cannot be made, or another run holds it.
    """
    advice = " Choose another folder with --out."
    busy = f"another run is writing to {out}. Wait for it, or choose another folder."
    with alone(out / ".lock", busy=busy, advice=advice, makes_folder=True):
        work = out / ".work"
        shutil.rmtree(work, ignore_errors=True)
        for left in out.glob(f".*{_PARTIAL}"):
            left.unlink()
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, held: bytes) -> None:
    """Write a file in one step: readers see the old content or the new."""
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    partial.write_bytes(held)
    partial.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write JSON in one step."""
    write_text(path, json_text(value) + "\n")


def json_text(value: object) -> str:
    """The value as JSON in which letters of every script stay readable, and what acts on a terminal is escaped."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return _NOT_ASCII.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def write_table(path: Path, table: pa.Table) -> None:
    """Write Parquet in one step."""
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def read_run(out: Path) -> dict[str, Any]:
    """What the last scan wrote about itself; empty when there was none.

    Raises:
        StoreError: the file is damaged.
    """
    return dict(_read_json(out / RUN, {}))


def read_campaigns(out: Path) -> list[dict[str, Any]]:
    """The campaigns of the last scan; empty when there was none.

    Raises:
        StoreError: the file is damaged.
    """
    return list(_read_json(out / CAMPAIGNS, []))


def read_known(out: Path) -> list[dict[str, Any]]:
    """The campaigns that earlier scans left to be known, as `known_campaigns.schema.json` says; empty when none did.

    Raises:
        StoreError: the file is damaged.
    """
    return list(_read_json(out / KNOWN, []))


def read_recognised(out: Path) -> list[dict[str, Any]]:
    """The campaigns of partners that the last scan recognised, as `recognised.schema.json` says; empty without any.

    Raises:
        StoreError: the file is damaged.
    """
    return list(_read_json(out / RECOGNISED, []))


def read_seen(out: Path) -> pa.Table:
    """The accounts that the last scan saw; empty when there was none.

    Raises:
        StoreError: the table is damaged.
    """
    return read_table(out, SEEN) if (out / SEEN).is_file() else arrow_schema(SEEN_RECORDS).empty_table()


def read_leads(out: Path) -> pa.Table:
    """What partners sent, columns as in `records.LEADS`; empty when nothing was received.

    Raises:
        StoreError: the table is damaged.
    """
    return read_table(out, LEADS) if (out / LEADS).is_file() else arrow_schema(LEAD_RECORDS).empty_table()


def read_table(out: Path, name: str) -> pa.Table:
    """A Parquet table of the output folder.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    path = out / name
    if not path.is_file():
        raise StoreError(f"there is no {path}. Run `stillwatch scan` with --out {out} first.")
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path} is damaged. Remove it and scan again.") from error


def check_key(out: Path, key_id: str) -> None:
    """Refuse to mix outputs made under different keys.

    Raises:
        StoreError: the last scan used another key.
    """
    earlier = read_run(out).get("key_id")
    if earlier is not None and earlier != key_id:
        message = (
            f"{out} was made under key {earlier}, this run has key {key_id}: their hashes cannot be compared. "
            "Restore the earlier key file, or choose another folder with --out."
        )
        raise StoreError(message)


def write_verdict(out: Path, verdict: Mapping[str, Any]) -> None:
    """Append one analyst's verdict; columns as in `records.VERDICT_RECORDS`."""
    path = out / VERDICTS
    lines = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, lines + json.dumps(dict(verdict)) + "\n")


def read_verdicts(out: Path) -> pa.Table:
    """Every verdict so far.

    Raises:
        StoreError: a line is damaged; it is named.
    """
    path, rows = out / VERDICTS, []
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _verdict(json.loads(line))
            rows.append({**row, "decided_at": datetime.fromisoformat(row["decided_at"])})
        except ValueError as error:
            raise StoreError(f"{path}, line {number} is no verdict. Correct or remove the line.") from error
    return pa.Table.from_pylist(rows, schema=arrow_schema(VERDICT_RECORDS))


def _verdict(row: Any) -> dict[str, Any]:
    """The row of a line, checked against `records.VERDICT_RECORDS`: every column is a required text."""
    if not isinstance(row, dict) or set(row) != set(VERDICT_RECORDS.names):
        raise ValueError("not the columns of a verdict")
    for column in VERDICT_RECORDS.columns:
        if not isinstance(row[column.name], str) or (column.values and row[column.name] not in column.values):
            raise ValueError(f"no such {column.name}")
    return row


def write_verdicts(out: Path, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Replace all verdicts."""
    write_text(out / VERDICTS, "".join(json.dumps(dict(row)) + "\n" for row in verdicts))


def _read_json(path: Path, missing: dict[str, Any] | list[dict[str, Any]]) -> Any:
    """What a JSON file of ours holds; it is damaged when it is not of the same shape as `missing`."""
    if not path.exists():
        return missing
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        value = None
    rows = value if isinstance(value, list) else [value]
    if type(value) is not type(missing) or not all(isinstance(row, dict) for row in rows):
        raise StoreError(f"{path} is damaged. Remove it, or choose another folder with --out.")
    return value
