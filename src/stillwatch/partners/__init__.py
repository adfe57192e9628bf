"""Partners: what is fetched from other providers and sent to them over the network, and what is kept of it."""

from stillwatch.partners.inbox import Inbox
from stillwatch.partners.leads import leads, write_leads
from stillwatch.partners.peers import Peer, read_peers

__all__ = ["Inbox", "Peer", "leads", "read_peers", "write_leads"]
