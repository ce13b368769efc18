"""Programs that print ratios, each run as ``python -m benchmarks.<name>``: how fast, next to what."""

import stages as stages  # before torch, so that it computes as in a stage
