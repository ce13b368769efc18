"""Rendered heads, written as archives in the layout of the original datasets."""
