"""How an account words a family: how many different wordings it uses, and how many of them others use as well.

Why:    who rewords one instruction from one pool on every call shares the whole pool with the other accounts that do:
        dozens of wordings, each used by several of them. Strangers on a public instruction have one wording each.
Misses: a pool so large that no two accounts draw the same wording, and accounts with a pool of their own each.
Source: own.

A wording is one recurring fingerprint of the sketch: a run of three words. Exact templates, whole sets of fingerprints,
would be too fine: five sentences of 24 wordings each make millions of them.
"""

from stillwatch.engines.base import IbisTable

OTHER_ACCOUNTS = 2  # that must use a wording for it to be shared


def variants(templated: IbisTable) -> IbisTable:
    """One row per account and family: `exchanges`, `variants` (different wordings) and `shared_variants` of them.

    Wordings are those of the vocabulary of the run (column `wordings`); one is shared when at least OTHER_ACCOUNTS
    other accounts use it in the same family.
    """
    bearing = templated.filter(templated.family_id.notnull())
    exchanges = bearing.group_by(["account_id", "family_id"]).aggregate(exchanges=bearing.count().cast("int64"))
    rows = bearing.select("account_id", "family_id", wording=bearing.wordings.unnest())
    used = rows.distinct()
    users = used.group_by(["family_id", "wording"]).aggregate(accounts=used.count())
    counted = used.inner_join(users, ["family_id", "wording"])
    per_account = counted.group_by(["account_id", "family_id"]).aggregate(
        variants=counted.count().cast("int64"),
        shared_variants=(counted.accounts > OTHER_ACCOUNTS).sum().cast("int64"),
    )
    joined = exchanges.left_join(per_account, ["account_id", "family_id"])
    return joined.select(
        "account_id",
        "family_id",
        "exchanges",
        variants=joined.variants.fill_null(0),
        shared_variants=joined.shared_variants.fill_null(0),
    )
