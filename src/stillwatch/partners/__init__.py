"""Partners: what is fetched from other providers and sent to them over the network, and what is kept of it."""

from stillwatch.partners.inbox import Inbox
from stillwatch.partners.leads import leads, write_leads
from stillwatch.partners.peers import Peer, read_peers
from stillwatch.partners.transfer import pull, push

__all__ = ["Inbox", "Peer", "leads", "pull", "push", "read_peers", "write_leads"]
