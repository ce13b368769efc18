"""The datasets there are: one row each. The reader of a dataset is the module of its name in `readers`."""

from typing import Literal, NamedTuple


class Dataset(NamedTuple):
    """What is known of a dataset before any of it is read.

    title: in tables and figures. archive: the file or folder in data/<source>/; empty if users name their own.
    licence: what a user of the data, or of weights trained on it, must know.
    role: 'train' the pose net on it, 'detect' (train the localizer on it), or only 'measure'.
    """

    title: str
    archive: str
    licence: str
    role: Literal["train", "detect", "measure"]


DATASETS = {
    "aflw2k": Dataset(
        "AFLW2000-3D", "AFLW2000-3D.zip", "AFLW2000-3D (AFLW): research, non-commercial", "measure"
    ),
    "300wlp": Dataset("300W-LP", "300W-LP.zip", "300W-LP (300W): research, non-commercial", "train"),
    "ytfaces": Dataset("YTFaces", "YTFaces", "YouTube Faces with facial keypoints: CC0", "train"),
    "widerface": Dataset("WIDER FACE", "wider_faces", "WIDER FACE: research, non-commercial", "detect"),
    "biwi": Dataset("BIWI", "BIWI", "Kinect Head Pose Database (BIWI): research, non-commercial", "measure"),
    "opentrack_h5": Dataset(
        "HDF5 of Opentrack's training code",
        "",
        "HDF5 of opentrack's training code: terms of the datasets it was made of (mostly research, non-commercial)",
        "train",
    ),
}  # fmt: skip
