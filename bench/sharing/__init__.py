"""What a campaign that moves takes from a provider that was told of it, and from one that was not."""
