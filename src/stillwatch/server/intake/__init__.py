"""Traffic in: every protocol that brings exchanges, journalled before it is acknowledged."""
