"""The stages of the pipeline: one module per stage of dvc.yaml, run as ``python -m stages.<name>``."""
