"""Reading archives in tests."""

import numpy as np

from nntrack.geometry.rotations import quat_apply, quat_conjugate
from nntrack.readers._format import Options, Tally

ONE = Options(workers=1)


def read(reader, archive, options=ONE):
    """All samples, and the account of the others."""
    tally = Tally()
    samples = list(reader.read(archive, options, tally))
    assert tally.kept == len(samples)
    return samples, tally


def unposed(labels):
    """Landmarks in the head frame, head radii."""
    moved = (labels["landmarks"] - np.append(labels["pos_size"][:2], 0)) / labels["pos_size"][2]
    return quat_apply(quat_conjugate(labels["quat"]), moved)
