"""No column of a simulated world gives the answer away alone.

A depth-3 tree learns from every single column in one world and is judged in another. An identifier (a card, an address,
a text) names one thing, so only how many share it counts, by order of magnitude: the exact size of a crowd would name
the crowd. A category (a country, a client) is offered value by value.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sklearn.tree import DecisionTreeClassifier

from stillwatch.evaluation import simulate

# A column that told by itself would make linkage pointless. Two ways to tell, both judged on accounts of another world:
# * broadly: a class-weighted tree beats 0.78 balanced accuracy. Below that, at this world's one attacker in eleven, the
#   column accuses more than two innocents for each attacker, and at one in four hundred more than ninety.
# * narrowly: at the world's own base rate some rule finds a tenth of the attackers with 60 % of the accused guilty.
BROAD, NARROW = 0.78, 0.60

ACCOUNT_IDENTIFIERS = (
    "account_id",
    "organization_id",
    "email_hash",
    "phone_hash",
    "payment_fingerprint",
    "device_fingerprint",
    "signup_ip",
)
ACCOUNT_CATEGORIES = ("email_domain", "signup_country", "access_program", "verification_level", "plan")
EXCHANGE_IDENTIFIERS = (
    "exchange_id",
    "organization_id",
    "api_key_id",
    "end_user_id",
    "session_id",
    "client_ip",
    "system_prompt",
    "prompt",
)
EXCHANGE_CATEGORIES = ("access_path", "model", "user_agent", "tls_fingerprint", "finish_reason", "status", "metadata")
EXCHANGE_LISTS = ("reasoning_issued", "reasoning_replayed")
EXCHANGE_NUMBERS = ("turn_count", "tool_count", "image_count", "input_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True)
class Tell:
    """What a depth-3 tree makes of one column on accounts it has not seen."""

    column: str
    balanced_accuracy: float
    narrow_precision: float  # best precision at the world's base rate that still covers a tenth of the hostile accounts
    because: str  # what the tree looked at most


def tells(train: Path, test: Path, leak: str | None = None) -> list[Tell]:
    """One row per column; trees learn in the world `train` and are judged in the world `test`.

    `leak` adds a column of that name which tells the truth of ten accounts in eleven.
    """
    seen, unseen = _world(train, leak), _world(test, leak)
    return [_tell(name, seen, unseen) for name in seen.columns]


@dataclass(frozen=True)
class _World:
    hostile: np.ndarray
    columns: dict[str, pd.DataFrame]


def _world(folder: Path, leak: str | None) -> _World:
    truth = pq.read_table(folder / "truth.parquet").to_pandas().set_index("account_id")
    truth = truth[truth["role"] != "compromised"]
    hostile = truth["is_hostile"].to_numpy()
    columns = {**_account_columns(folder), **_exchange_columns(folder)}
    if leak:
        columns[leak] = pd.DataFrame({"value": hostile ^ (np.arange(len(hostile)) % 11 == 0)}, index=truth.index)
    return _World(hostile, {name: encoded.reindex(truth.index).fillna(-1.0) for name, encoded in columns.items()})


def _tell(column: str, seen: _World, unseen: _World) -> Tell:
    names = [name for name in seen.columns[column] if name in unseen.columns[column]]
    known = seen.columns[column][names].to_numpy(np.float64)
    new = unseen.columns[column][names].to_numpy(np.float64)
    fair = DecisionTreeClassifier(max_depth=3, class_weight="balanced", min_samples_leaf=10, random_state=0)
    guess = fair.fit(known, seen.hostile).predict(new)
    balanced = (guess[unseen.hostile].mean() + (~guess[~unseen.hostile]).mean()) / 2
    plain = DecisionTreeClassifier(max_depth=3, min_samples_leaf=10, random_state=0)
    chance = plain.fit(known, seen.hostile).predict_proba(new)[:, 1]
    return Tell(column, float(balanced), _narrow_precision(chance, unseen.hostile), _root(fair, names))


def _root(tree: DecisionTreeClassifier, names: list[str]) -> str:
    order = np.argsort(-tree.feature_importances_)[:2]
    return ", ".join(f"{names[k]} {tree.feature_importances_[k]:.2f}" for k in order)


def _decade(counts: pd.Series) -> pd.Series:
    """1, 2 to 9, 10 to 99, ... as 0, 1, 2, ...: the exact size of a crowd would name the crowd."""
    return np.ceil(np.log10(counts.clip(lower=1)) + 1e-9 * (counts > 1))


def _narrow_precision(chance: np.ndarray, hostile: np.ndarray) -> float:
    """Best precision over thresholds that reach a tenth of the hostile accounts."""
    best = 0.0
    for threshold in np.unique(chance):
        accused = chance >= threshold
        if hostile[accused].sum() >= 0.1 * hostile.sum():
            best = max(best, float(hostile[accused].mean()))
    return best


def _account_columns(folder: Path) -> dict[str, pd.DataFrame]:
    accounts = pq.read_table(folder / "accounts.parquet").to_pandas().set_index("account_id", drop=False)
    columns = {f"accounts.{name}": _identifier(accounts[name]) for name in ACCOUNT_IDENTIFIERS}
    columns |= {f"accounts.{name}": _category(accounts[name]) for name in ACCOUNT_CATEGORIES}
    created = accounts["created_at"]
    columns["accounts.created_at"] = pd.DataFrame(
        {"at": created.astype("int64"), "hour": created.dt.hour, "weekday": created.dt.day_of_week}
    )
    verified = accounts["verified_at"]
    columns["accounts.verified_at"] = pd.DataFrame({"at": verified.astype("int64"), "null": verified.isna()})
    local = accounts["email_hash"].str.split("@").str[0]
    columns["accounts.email_pattern"] = pd.DataFrame(
        {"length": local.str.len(), "digits": local.str.count(r"\d"), "dots": local.str.count(r"\.")}
    )
    columns["accounts.signup_ip_prefix"] = _identifier(accounts["signup_ip"].str.rsplit(".", n=1).str[0])
    return columns


def _identifier(values: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {"null": values.isna(), "sharing": _decade(values.map(values.value_counts())), "length": values.str.len()},
        index=values.index,
    )


def _category(values: pd.Series) -> pd.DataFrame:
    counts = values.value_counts()
    common = {f"is {name}": values == name for name in counts[counts >= 0.01 * len(values)].index}
    return pd.DataFrame({"null": values.isna(), **common}, index=values.index)


def _exchange_columns(folder: Path) -> dict[str, pd.DataFrame]:
    wanted = [*EXCHANGE_IDENTIFIERS, *EXCHANGE_CATEGORIES, *EXCHANGE_LISTS, *EXCHANGE_NUMBERS]
    wanted = ["account_id", "started_at", *wanted]
    exchanges = ds.dataset(folder / "exchanges").to_table(columns=wanted).to_pandas()
    columns = {f"exchanges.{name}": _identifier_use(exchanges, name) for name in EXCHANGE_IDENTIFIERS}
    columns |= {f"exchanges.{name}": _category_use(exchanges, name) for name in EXCHANGE_CATEGORIES}
    columns |= {f"exchanges.{name}": _list_use(exchanges, name) for name in EXCHANGE_LISTS}
    for name in EXCHANGE_NUMBERS:
        columns[f"exchanges.{name}"] = exchanges.groupby("account_id")[name].agg(
            ["mean", "std", "min", "max", "median"]
        )
    columns["exchanges.started_at"] = _times(exchanges)
    prefix = exchanges["client_ip"].str.rsplit(".", n=1).str[0]
    columns["exchanges.client_ip_prefix"] = _identifier_use(
        exchanges.assign(client_ip_prefix=prefix), "client_ip_prefix"
    )
    return columns


def _identifier_use(exchanges: pd.DataFrame, name: str) -> pd.DataFrame:
    grouped = exchanges.groupby("account_id")[name]
    holders = exchanges.groupby(name)["account_id"].nunique()
    shared = exchanges[name].map(holders).groupby(exchanges["account_id"])
    sizes = exchanges[name].str.len().groupby(exchanges["account_id"])
    rows = grouped.size()
    return pd.DataFrame(
        {
            "null": 1 - grouped.count() / rows,
            "distinct": grouped.nunique() / rows,
            "sharing": _decade(shared.mean()),
            "most sharing": _decade(shared.max()),
            "length": sizes.mean(),
            "length spread": sizes.std(),
        }
    )


def _list_use(exchanges: pd.DataFrame, name: str) -> pd.DataFrame:
    lengths = exchanges[name].str.len().fillna(0)
    each = exchanges[["account_id", name]].explode(name).dropna()
    holders = each.groupby(name)["account_id"].nunique()
    shared = _decade(each[name].map(holders)).groupby(each["account_id"])
    account = exchanges["account_id"]
    return pd.DataFrame(
        {
            "null": (lengths == 0).groupby(account).mean(),
            "length": lengths.groupby(account).mean(),
            "sharing": shared.mean(),
            "most sharing": shared.max(),
        }
    )


def _category_use(exchanges: pd.DataFrame, name: str) -> pd.DataFrame:
    account, values = exchanges["account_id"], exchanges[name]
    common = values.value_counts(normalize=True)
    uses = {f"is {value}": (values == value).groupby(account).mean() for value in common[common >= 0.01].index}
    grouped = values.groupby(account)
    return pd.DataFrame({"null": values.isna().groupby(account).mean(), "distinct": grouped.nunique(), **uses})


def _times(exchanges: pd.DataFrame) -> pd.DataFrame:
    ordered = exchanges.sort_values("started_at")
    account, at = ordered["account_id"], ordered["started_at"]
    gaps = at.groupby(account).diff().dt.total_seconds()
    hours = pd.crosstab(account, at.dt.hour, normalize="index").to_numpy()
    entropy = -(hours * np.log2(np.where(hours > 0, hours, 1))).sum(axis=1)
    per = at.groupby(account)
    return pd.DataFrame(
        {
            "exchanges": per.size(),
            "first": per.min().astype("int64"),
            "last": per.max().astype("int64"),
            "days": at.dt.date.groupby(account).nunique(),
            "weekend": (at.dt.day_of_week >= 5).groupby(account).mean(),
            "hour": at.dt.hour.groupby(account).mean(),
            "hour spread": at.dt.hour.groupby(account).std(),
            "hour entropy": pd.Series(entropy, index=sorted(account.unique())),
            "gap": gaps.groupby(account).median(),
            "gap variation": gaps.groupby(account).std() / gaps.groupby(account).mean(),
        }
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Tell]:
    folders: list[Path] = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp(f"world-{seed}")
        simulate(folder, scenario="feb2026", scale=0.016, days=21, seed=seed)
        folders.append(folder)
    return tells(*folders, leak="leaky")


def gives_away(tell: Tell) -> bool:
    return tell.balanced_accuracy > BROAD or tell.narrow_precision > NARROW


@pytest.mark.nightly
def test_no_single_column_separates_attackers_from_customers(found: list[Tell]) -> None:
    assert [tell for tell in found if tell.column != "leaky" and gives_away(tell)] == []
    assert len(found) > 35


@pytest.mark.nightly
def test_a_column_that_leaks_the_truth_is_caught(found: list[Tell]) -> None:
    assert [tell.column for tell in found if tell.column == "leaky" and gives_away(tell)] == ["leaky"]
