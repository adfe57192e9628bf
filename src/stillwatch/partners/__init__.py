"""Partners: what is fetched from other providers and sent to them over the network, and what is kept of it."""
