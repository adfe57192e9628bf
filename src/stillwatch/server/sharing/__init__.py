"""What leaves the running service for other providers: proposed by one person, approved by another."""
