"""Private matching with partners: sets that are offered, sessions over them, and how much a partner may put in."""
