"""The layout, labels and files of each original dataset, for writing."""
