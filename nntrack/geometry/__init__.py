"""Rotations, affine maps, boxes, landmarks and perspective; NumPy and torch alike."""
