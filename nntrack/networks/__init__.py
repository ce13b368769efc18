"""The two networks, their backbones and losses, and files of their weights."""
