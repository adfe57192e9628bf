"""The work between partners that comes round: what is posted and pulled goes into the inbox, then into leads."""

from functools import partial
from pathlib import Path

from stillwatch.partners import Inbox, Peer, read_peers, write_leads
from stillwatch.partners.feedback import learn
from stillwatch.partners.inbox import Taken
from stillwatch.partners.transfer import pull
from stillwatch.server import metrics
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.jobs import Job
from stillwatch.server.partners.feedback import give_feedback
from stillwatch.server.partners.intake import take_posted
from stillwatch.server.service import Service


def jobs(service: Service) -> list[Job]:
    """One process at a time takes in what partners send, and where the settings say so tells them what became of it.

    Raises:
        SettingsError: the peers file cannot be used.
    """
    peers, told = peers_of(service), service.settings.partners
    work = [Job("pull", told.every_s, partial(turn, service, peers))]
    return [*work, Job("feedback", told.every_s, partial(give_feedback, service, peers))] if told.feedback else work


def peers_of(service: Service) -> tuple[Peer, ...]:
    """The peers that the settings name; none without a file.

    Raises:
        SettingsError: the file cannot be used.
    """
    told = service.settings.partners.peers
    return read_peers(Path(told)) if told else ()


def turn(service: Service, peers: tuple[Peer, ...]) -> None:
    """Take in what was posted, pull from every peer, learn from the last detection, and write the leads.

    Raises:
        StillwatchError: a login, a file or the inbox cannot be used; what was taken in until then stays.
    """
    inbox = Inbox(output_folder(service.settings))
    for name, taken in take_posted(service.database, inbox, peers, now=service.now()).items():
        _count(name, taken)
    try:
        for done in pull(inbox, peers, now=service.now, wait=service.stopping.wait):
            _count(done.peer, done.taken)
            if done.fault is not None:
                metrics.pull_failures.labels(done.peer).inc()
                service.log.warning("pull_failed", peer=done.peer, reason=done.fault)
    finally:
        if inbox.partners():
            _refresh(inbox, service)


def _refresh(inbox: Inbox, service: Service) -> None:
    learn(inbox, now=service.now())
    by_sender = {sender: name for name in inbox.partners() for sender in inbox.senders(name)}
    counts = dict.fromkeys(by_sender.values(), 0)
    for row in write_leads(inbox, service.now()).column("sender").value_counts():
        counts[by_sender[row["values"].as_py()]] += row["counts"].as_py()
    for name, count in counts.items():
        metrics.leads.labels(name).set(count)


def _count(name: str, taken: Taken) -> None:
    for outcome, count in (
        ("kept", taken.kept),
        ("known", taken.known),
        ("unused", taken.unused),
        ("refused", sum(taken.refused.values())),
    ):
        metrics.partner_objects.labels(name, outcome).inc(count)
