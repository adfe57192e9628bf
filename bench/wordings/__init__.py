"""What tells a campaign whose accounts share wordings and nothing else from innocents who share wordings too."""
