"""Small datasets for whatever measures nets."""

import numpy as np

from nntrack.data import hdf5
from nntrack.data.sample import Sample

FRONTAL = np.array([0, 0, 0, 1.0])


def posed(path, quats, rng, source="synthetic", reader="aflw2k", views=1):
    """Photos of 450 px with a face of each rotation, ``views`` in a row of the same person."""

    def samples():
        for i, quat in enumerate(quats):
            points = rng.uniform(150, 250, (68, 3))
            labels = {"quat": np.asarray(quat, float), "landmarks": points, "face": np.float32(1)}
            labels |= {"pos_size": np.array([200, 190, 60.0]), "bbox": np.array([150, 130, 250, 250.0])}
            picture = rng.integers(0, 255, (450, 450)).astype(np.uint8)
            yield Sample(picture, f"photo {i}", f"person {i // views}", labels)

    hdf5.write(path, samples(), {"source": source, "reader": reader})
    return hdf5.Stored(path)


def framed(path, faces, rng, reader="widerface"):
    """Frames of subsets, (face, subset) each; a face fills the middle half."""

    def samples():
        for i, (face, subset) in enumerate(faces):
            labels = {"face": np.float32(face)} | ({"bbox": np.array([72, 56, 216, 168.0])} if face else {})
            yield Sample(np.zeros((224, 288), np.uint8), f"frame {i}", f"frame {i}", labels, subset=subset)

    hdf5.write(path, samples(), {"source": "synthetic", "reader": reader})
    return hdf5.Stored(path)
