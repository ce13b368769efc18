"""The deformable face model: 68 landmarks as mean plus modes, learnt from 3D landmarks or read from a file."""
