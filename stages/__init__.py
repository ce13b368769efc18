"""The stages of the pipeline: one module per stage of dvc.yaml, run as ``python -m stages.<name>``."""

import os

# Of GNU's OpenMP, which reads it when torch is loaded: how often a thread without work looks for some before it sleeps.
# As it is, for milliseconds after each step, in which a process that makes batches ready waits for that core.
os.environ.setdefault("GOMP_SPINCOUNT", "30000")
