"""Who owns which legitimate accounts, where they come from and what they write in."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillwatch.evaluation.customers import UNKNOWN, customers, owners, wronged
from stillwatch.evaluation.measures import Share
from stillwatch.records import ACCOUNTS, arrow_schema

START = datetime(2026, 3, 2, tzinfo=UTC)


def accounts(*rows: dict[str, str]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(ACCOUNTS))


def write_prompts(folder: Path, prompts: dict[str, Sequence[str | None]], seed: int = 0) -> None:
    """Each account's prompts an hour apart, rows in any order."""
    rows = [
        {"account_id": name, "started_at": START + timedelta(hours=hour), "prompt": prompt}
        for name, told in prompts.items()
        for hour, prompt in enumerate(told)
    ]
    random.Random(seed).shuffle(rows)
    (folder / "exchanges").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "exchanges" / "day.parquet")


def test_an_organisation_a_card_a_device_or_a_telephone_makes_one_owner_and_chains_join() -> None:
    found = owners(
        accounts(
            {"account_id": "a", "organization_id": "firm"},
            {"account_id": "b", "organization_id": "firm", "payment_fingerprint": "card"},
            {"account_id": "c", "payment_fingerprint": "card", "device_fingerprint": "laptop"},
            {"account_id": "d", "device_fingerprint": "laptop", "phone_hash": "+1"},
            {"account_id": "e", "phone_hash": "+1"},
            {"account_id": "f", "device_fingerprint": "card"},  # a device named as a card is another thing
            {"account_id": "g"},
        )
    )
    assert found == {"a": "a", "b": "a", "c": "a", "d": "a", "e": "a", "f": "f", "g": "g"}


def test_a_school_is_one_owner_and_a_public_mail_provider_is_not() -> None:
    rows = [{"account_id": f"s{n}", "email_domain": "uni.example", "access_program": "education"} for n in range(3)]
    rows += [
        {"account_id": f"m{n}", "email_domain": "mail.example", "access_program": "education" if n < 2 else "paid"}
        for n in range(6)
    ]
    found = owners(accounts(*rows))
    assert {found[f"s{n}"] for n in range(3)} == {"s0"}
    assert all(found[f"m{n}"] == f"m{n}" for n in range(6))


def test_one_accused_account_makes_its_owner_accused(tmp_path: Path) -> None:
    rows = [{"account_id": f"s{n}", "organization_id": "uni", "signup_country": "JP"} for n in range(3)]
    rows += [{"account_id": "d", "signup_country": "BR"}, {"account_id": "hostile", "organization_id": "uni"}]
    pq.write_table(accounts(*rows), tmp_path / "accounts.parquet")
    segment = {**{f"s{n}": "classes" for n in range(3)}, "d": "developers", "e": "developers"}
    found = wronged(customers(tmp_path, segment), segment, {"s0", "s2", "hostile"})
    assert found.segments == {"classes": Share(2, 3), "developers": Share(0, 2)}
    assert found.owners == Share(1, 3)
    assert found.owners_by_segment == {"classes": Share(1, 1), "developers": Share(0, 2)}
    assert found.countries == {"BR": Share(0, 1), "JP": Share(2, 3), UNKNOWN: Share(0, 1)}
    assert found.scripts is None


@pytest.mark.parametrize("seed", range(3))
def test_the_script_is_the_commonest_of_the_first_prompts_in_any_order_of_rows(seed: int, tmp_path: Path) -> None:
    latin, han = "please translate this sentence", "请把这个句子翻译成英文"
    prompts = {"early": [han] * 3 + [latin] * 20, "late": [latin] * 5 + [han] * 20, "silent": [None, "12 + 30"]}
    write_prompts(tmp_path, prompts, seed)
    found = customers(tmp_path, {"early", "late", "silent", "absent"})
    assert found.script == {"early": "han", "late": "latin", "silent": UNKNOWN, "absent": UNKNOWN}
    assert (found.owner, found.country) == (None, None)


def test_without_prompts_or_without_exchanges_no_script_is_told(tmp_path: Path) -> None:
    assert customers(tmp_path, {"a"}).script is None
    write_prompts(tmp_path, {"a": [None, None]})
    assert customers(tmp_path, {"a"}).script is None
