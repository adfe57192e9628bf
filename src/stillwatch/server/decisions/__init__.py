"""What is done about each account: proposed, approved, taken, undone, and told to gateways."""
