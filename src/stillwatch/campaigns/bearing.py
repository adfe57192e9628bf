"""The exchanges of members that bear what is their cluster's own: templates, system prompts, families of wordings."""

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import pyarrow as pa

from stillwatch.campaigns.families import family_holders, family_texts
from stillwatch.campaigns.tables import Tables, by_cluster, members_of
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import TEMPLATE_KINDS

UNREAD = (  # of what is borne
    *("system_prompt_id", "finish_reason", "status", "place", "lead"),
    *("public_template", "public_prompt"),
)
CORE_BITS = 3.0  # a template 8 times commoner inside a cluster than outside is one of its own
CORE_ACCOUNTS = 3  # members that must hold it
CORE_KINDS = (*TEMPLATE_KINDS, "system_prompt")


def bearing(tables: Tables, engine: Engine, *, account_count: int) -> IbisTable:
    """The members' exchanges that bear what is far commoner in their cluster.

    With `cluster_id`, `is_public`, and `is_reworded`: by its family alone. An `account_id` is the row among the
    members: numbers are written, read and told apart sooner than names.
    """
    sizes = {c: len(ids) for c, ids in by_cluster(tables.members).items()}
    members = members_of(tables, engine)
    is_said = bool(sizes) and tables.may_hold_prompts
    texts = family_texts(tables.templated) if tables.said is None else tables.said
    said = family_holders(texts, members) if is_said else []
    core, reworded = _core(tables, sizes, account_count), _core_families(said, sizes, account_count)
    exchanges = tables.templated if core.num_rows or reworded.num_rows else tables.templated.limit(0)
    return _bearing(exchanges, members, engine.memory(core), engine.memory(reworded))


def _core(tables: Tables, sizes: Mapping[int, int], account_count: int) -> pa.Table:
    """Templates and system prompts far commoner inside each cluster: cluster_id, kind, value, is_public.

    A public one is held by at least as many outsiders as members; only the others are the cluster's own.
    """
    rows = [row for row in tables.evidence.to_pylist() if row["kind"] in CORE_KINDS]
    kept = [row for row in rows if _is_core(row, sizes[row["cluster_id"]], account_count)]
    schema = [("cluster_id", pa.int64()), ("kind", pa.string()), ("value", pa.int64()), ("is_public", pa.bool_())]
    columns = {
        "cluster_id": [row["cluster_id"] for row in kept],
        "kind": [row["kind"] for row in kept],
        "value": [int(row["value"]) for row in kept],
        "is_public": [row["outside_count"] >= row["account_count"] for row in kept],
    }
    return pa.table(columns, schema=pa.schema(schema))


def _core_families(said: Sequence[Mapping[str, Any]], sizes: Mapping[int, int], account_count: int) -> pa.Table:
    """Families far commoner inside each cluster, and hardly used outside: cluster_id, family_id."""
    kept = [row for row in said if _is_core(row, sizes[row["cluster_id"]], account_count)]
    kept = [row for row in kept if row["outside_count"] < row["account_count"]]
    names = ("cluster_id", "family_id")
    return pa.table({name: pa.array([row[name] for row in kept], pa.int64()) for name in names})


def _is_core(row: Mapping[str, Any], size: int, account_count: int) -> bool:
    if row["account_count"] < CORE_ACCOUNTS:
        return False
    inside = (row["account_count"] + 0.5) / (size + 1.0)
    outside = (row["outside_count"] + 0.5) / (account_count - size + 1.0)
    return bool(inside >= outside * 2.0**CORE_BITS)


def _bearing(templated: IbisTable, members: IbisTable, core: IbisTable, reworded: IbisTable) -> IbisTable:
    """The members' exchanges that bear a core template or system prompt of their cluster, or else a core family.

    An exchange is public only when nothing it bears is the cluster's own; a family counts only where it bears neither.
    """
    rows = templated.inner_join(members, "account_id")
    templates = core.filter(core.kind.isin(TEMPLATE_KINDS))
    templates = templates.select("cluster_id", template_id=core.value, public_template=core.is_public)
    prompts = core.filter(core.kind == "system_prompt")
    prompts = prompts.select("cluster_id", system_prompt_id=core.value, public_prompt=core.is_public)
    rows = rows.left_join(templates, ["cluster_id", "template_id"]).select(*rows.columns, "public_template")
    rows = rows.left_join(prompts, ["cluster_id", "system_prompt_id"]).select(*rows.columns, "public_prompt")
    families = reworded.mutate(is_family=ibis.literal(True))
    rows = rows.left_join(families, ["cluster_id", "family_id"]).select(*rows.columns, "is_family")
    is_reworded = rows.public_template.isnull() & rows.public_prompt.isnull()
    borne = rows.mutate(is_reworded=is_reworded).filter(~is_reworded | rows.is_family.notnull())
    is_public = borne.public_template.fill_null(True) & borne.public_prompt.fill_null(True) & ~borne.is_reworded
    borne = borne.mutate(is_public=is_public).drop("account_id", "is_family", *UNREAD)
    return borne.rename(account_id="member")
