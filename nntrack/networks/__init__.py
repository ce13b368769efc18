"""The two networks, their backbones and losses, and their weights on disk."""
