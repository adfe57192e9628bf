"""A TAXII 2.1 server: what we release to partners, what each of them may see of it, and what they send.

Source: OASIS, "TAXII Version 2.1", 2021. Sections in the modules below are of it.
"""

from stillwatch.server.taxii.inbox import Received, received
from stillwatch.server.taxii.partners import Partner, partner_of
from stillwatch.server.taxii.publishing import publish

__all__ = ["Partner", "Received", "partner_of", "publish", "received"]
