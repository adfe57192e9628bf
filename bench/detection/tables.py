"""The records as Markdown: one table of methods, then who was wronged and what each campaign became."""

from collections.abc import Mapping, Sequence

from stillwatch.evaluation.evaluate import ONE_RUN
from stillwatch.evaluation.measures import Share

from .hourly import HOURLY
from .measure import LARGE, LINKED, STRICT
from .record import WORLD, Record
from .totals import by_language, of, strict, summed, total

ALL = "all"
SHARING = 0.25  # of a campaign's accounts, from which it counts as one with shared infrastructure
HEADER = (
    "scenario",
    "method",
    "accused",
    "recall",
    "precision",
    "wronged per million (at most)",
    "customers wronged (at most)",
    "oracle's recall at stillwatch's precision",
    "exposure before detection",
    "CPU s",
)
CONTROL_HEADER = (
    "scenario",
    "called",
    "run by one hand (95 %)",
    "campaigns mostly so",
    "harvesting (95 %)",
)
SENDERS_HEADER = (
    "scenario",
    "hostile accounts",
    "recall (95 %)",
    "or coordinated",
    "legitimate accounts",
    "wronged per million",
)
NOTES = """\
large: together the accounts take far more output than as many ordinary customers, by the test of volume.
run by one hand: accused accounts whose controller runs another one of the same reported campaign as well, and poses as
  several customers; machines, colleagues, classes and users of one template have no such controller and are wrong here.
recall, precision: accounts. Victims with stolen keys count neither way; accused counts hostile and legitimate accounts.
wronged per million: legitimate accounts accused, and the upper end of the exact 95 % interval, as if accounts were
  independent. They are not: accounts that share an organisation, card, device, telephone or school have one owner.
  customers wronged counts owners, one accused account being enough.
oracle's recall: a favour to the baseline. Its threshold is set on the labels, in each world anew, on whichever of its
  rankings does best, for the highest recall at the precision of `stillwatch: distillation` on that world. What the
  baseline accuses by itself, to the left, follows a threshold that no label has touched. 0.00 %: no threshold reaches
  that precision. Where stillwatch accuses nobody, the oracle aims at a precision of 99 %. The table below compares what
  is `coordinated` where nobody who harvests is called more, abusers of free credit aside.
exposure before detection: share of a campaign's exchanges made before the end of the first of the successive runs that
  found half of its accounts; the worst of the campaigns found, and how many were not found at all. With --hourly a run
  at the end of every hour, else as many runs as --runs says.
CPU s: user and system. A baseline is billed for reading, sketching and templating what it uses, though it is done once
  for all of them. Stillwatch's includes the report, the decisions and the bundle, and one run."""


def methods_table(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """The one table: every scenario and method, then all worlds together."""
    methods = (STRICT, LARGE, LINKED, *(name for name in baselines if of(records, name)))
    rows = []
    for scenario in (*scenarios(records), ALL):
        inside = in_scenario(records, scenario)
        rows += [_method_row(scenario, method, inside) for method in methods if of(inside, method)]
    return markdown(HEADER, rows, left=2)


def scenarios(records: Sequence[Record]) -> list[str]:
    """Scenarios in the order in which they were measured."""
    return list(dict.fromkeys(record.world.scenario for record in records))


def in_scenario(records: Sequence[Record], scenario: str) -> list[Record]:
    """The records of one scenario, or all."""
    return [record for record in records if scenario in (ALL, record.world.scenario)]


def campaigns_table(records: Sequence[Record]) -> str:
    """What became of each true campaign."""
    rows = []
    for scenario in scenarios(records):
        inside = in_scenario(records, scenario)
        found, linked = (summed(r.campaigns for r in of(inside, method)) for method in (STRICT, LINKED))
        sharing = summed(record.sharing for record in of(inside, WORLD))
        for name, share in found.items():
            shares = sharing[name].share if name in sharing else None
            rows.append(
                (
                    scenario,
                    name,
                    f"{share.total:,}",
                    percent(shares),
                    interval(share),
                    percent(linked[name].share),
                    _exposure_of(name, inside),
                )
            )
    header = ("scenario", "campaign", "accounts", "share infrastructure", "recall (95 %)", "or coordinated")
    return markdown((*header, "exposure before detection"), rows, left=2)


def control_table(records: Sequence[Record]) -> str:
    """How right the claim of common control is, beside how many of the same accounts harvest."""
    rows = []
    for scenario in (*scenarios(records), ALL):
        inside = in_scenario(records, scenario)
        for method in (LARGE, LINKED):
            claims = [record for record in of(inside, method) if record.control is not None]
            accounts, campaigns = (_added(claims, name) for name in ("control", "one_hand"))
            harvesting = total(claims, ()).precision
            if claims:
                rows.append((scenario, method, interval(accounts), _count(campaigns), interval(harvesting)))
    return markdown(CONTROL_HEADER, rows, left=2)


def senders_table(records: Sequence[Record]) -> str:
    """Recall and mistakes over the accounts that sent anything: traffic shows nobody else, and the tables count all."""
    rows = []
    for scenario in (*scenarios(records), ALL):
        inside = in_scenario(records, scenario)
        found, linked = (_added(of(inside, method), "senders") for method in (STRICT, LINKED))
        wronged = _added(of(inside, STRICT), "senders_wronged")
        counts = (f"{found.total:,}", interval(found), interval(linked), f"{wronged.total:,}", _per_million(wronged))
        rows += [(scenario, *counts)] if found.total else []
    return markdown(SENDERS_HEADER, rows, left=1)


def _added(records: Sequence[Record], name: str) -> Share:
    pairs = [getattr(record, name) or (0, 0) for record in records]
    return Share(sum(hits for hits, _ in pairs), sum(count for _, count in pairs))


def split_lines(records: Sequence[Record]) -> str:
    """Recall apart for campaigns that share infrastructure and for those that do not."""
    shared, bare = split_recall(records)
    return (
        f"Campaigns of which at least {percent(SHARING)} of the accounts share a card, device, telephone or "
        f"organisation with another one: recall {interval(shared)}, {shared.hits:,} of {shared.total:,} accounts.\n"
        f"Campaigns that share less: recall {interval(bare)}, {bare.hits:,} of {bare.total:,} accounts."
    )


def split_recall(records: Sequence[Record]) -> tuple[Share, Share]:
    """Accounts accused of distillation, in campaigns with and without shared infrastructure."""
    hits, totals = [0, 0], [0, 0]
    for record in strict(records):
        facts = next((each for each in of(records, WORLD) if each.world == record.world), None)
        for name, (hit, count) in record.campaigns.items():
            sharing = Share(*facts.sharing[name]).share if facts is not None and name in facts.sharing else None
            is_bare = sharing is not None and sharing < SHARING
            hits[is_bare] += hit
            totals[is_bare] += count
    return Share(hits[0], totals[0]), Share(hits[1], totals[1])


def languages_table(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """Legitimate accounts accused, by the language of the country and by the script of the prompts."""
    methods = [name for name in (STRICT, LINKED, *baselines) if of(records, name)]
    by_country = {name: by_language(of(records, name)) for name in methods}
    by_script = {name: summed(record.scripts for record in of(records, name)) for name in methods}
    rows = []
    for label, sliced in (("language", by_country), ("script", by_script)):
        for value, share in sliced[STRICT].items():
            cells = [_per_million(sliced[name][value]) if value in sliced[name] else "-" for name in methods]
            rows.append((f"{label}: {value}", f"{share.total:,}", *cells))
    return markdown(("slice", "legitimate accounts", *methods), rows, left=1)


def populations_table(records: Sequence[Record]) -> str:
    """Legitimate accounts and their owners accused, by population."""
    strict_, linked = of(records, STRICT), of(records, LINKED)
    accounts, accounts_linked = (summed(r.segments for r in chosen) for chosen in (strict_, linked))
    people, people_linked = (summed(r.owners_by_segment for r in chosen) for chosen in (strict_, linked))
    rows = []
    for name, share in accounts.items():
        owners, owners_linked = people.get(name, Share(0, 0)), people_linked.get(name, Share(0, 0))
        rows.append((name, *_wronged(share), *_wronged(owners), _count(accounts_linked[name]), _count(owners_linked)))
    header = ("population", "accounts accused", "at most", "customers accused", "at most")
    return markdown((*header, "accounts, or coordinated", "customers, or coordinated"), rows, left=1)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Rows of text as one table; the first `left` columns are names, the others figures."""
    cells = [header, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    rule = [*["---"] * left, *["---:"] * (len(header) - left)]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def percent(share: float | None) -> str:
    """A share in per cent; a dash where there is none."""
    return "-" if share is None else f"{share * 100:.2f} %"


def interval(share: Share) -> str:
    """A share with its exact 95 % interval."""
    return "-" if share.share is None else f"{percent(share.share)} ({percent(share.low)} to {percent(share.high)})"


def exposures(inside: Sequence[Record]) -> Mapping[str, list[float | None]]:
    """Exposure before detection by campaign, a figure per world in which it was measured: hourly, if anywhere so."""
    found: dict[str, list[float | None]] = {}
    for record in of(inside, HOURLY) or strict(inside):
        for name, share in record.exposure.items():
            found.setdefault(name, []).append(share)
    return found


def _method_row(scenario: str, method: str, inside: Sequence[Record]) -> tuple[str, ...]:
    records = of(inside, method)
    found = total(records, strict(inside))
    if found.not_run:
        return (scenario, method, f"not run: {'; '.join(found.not_run)}", *["-"] * 7)
    return (
        scenario,
        method,
        f"{found.precision.total:,}",
        percent(found.recall.share),
        percent(found.precision.share),
        _per_million(found.wronged),
        f"{_count(found.owners)} ({percent(found.owners.high)})" if found.owners.total else "-",
        "-" if found.oracle is None else percent(found.oracle.share),
        _exposure(inside) if method == STRICT else "-",
        f"{found.cpu_s:,.1f}",
    )


def _exposure(inside: Sequence[Record]) -> str:
    measured = [share for shares in exposures(inside).values() for share in shares]
    if not measured:
        return ONE_RUN
    found = [share for share in measured if share is not None]
    worst = f"at most {percent(max(found))}, " if found else ""
    return f"{worst}{len(measured) - len(found)} of {len(measured)} not found"


def _exposure_of(name: str, inside: Sequence[Record]) -> str:
    shares = exposures(inside).get(name)
    if shares is None:
        return ONE_RUN
    return ", ".join("not found" if share is None else percent(share) for share in shares)


def _wronged(share: Share) -> tuple[str, str]:
    return _count(share), percent(share.high)


def _count(share: Share) -> str:
    return f"{share.hits:,} of {share.total:,}"


def _per_million(share: Share) -> str:
    if share.share is None or share.high is None:
        return "-"
    return f"{share.share * 1e6:,.0f} ({share.high * 1e6:,.0f})"
