"""What is behind a head and in front of it."""
