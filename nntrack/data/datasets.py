"""The datasets there are: one row each. The reader of a dataset is the module of its name in `readers`."""

from typing import Literal, NamedTuple

Role = Literal["train", "detect", "measure"]


class Dataset(NamedTuple):
    """What is known of a dataset before any of it is read.

    title: in tables and figures. archive: the file or folder in data/<source>/; empty if users name their own.
    licence: what a user of the data, or of weights trained on it, must know.
    role: 'train' the pose net on it, 'detect' (train the localizer on it), or only 'measure'.
    subset: the part of it that training sees; empty means all.
    labels: what nearly every sample has, by the names of `sample.FIELDS`: where most lack one, something is wrong.
    companion: file in data/<source>/ that changes what the archive is converted to, if a user has one.
    """

    title: str
    archive: str
    licence: str
    role: Role
    subset: str = ""
    companion: str = ""
    labels: tuple[str, ...] = ("quat", "pos_size", "landmarks", "bbox")


DATASETS = {
    "aflw2k": Dataset("AFLW2000-3D", "AFLW2000-3D.zip", "AFLW2000-3D (AFLW): research, non-commercial", "measure"),
    "w300lp": Dataset(
        "300W-LP",
        "300W-LP.zip",
        "300W-LP (300W): research, non-commercial",
        "train",
        companion="bfm_noneck_v3.pkl",
    ),
    "biwi": Dataset(
        "BIWI",
        "BIWI",
        "Kinect Head Pose Database (BIWI): research, non-commercial",
        "measure",
        companion="BIWI/biwi_boxes.csv",
        labels=("quat", "pos_size", "camera"),
    ),
    "ytfaces": Dataset("YTFaces", "YTFaces", "YouTube Faces with facial keypoints: CC0", "train"),
    "widerface": Dataset(
        "WIDER FACE", "wider_faces", "WIDER FACE: research, non-commercial", "detect", "train", labels=("face",)
    ),
    "opentrack_h5": Dataset(
        "HDF5 of Opentrack's training code",
        "",
        "HDF5 of opentrack's training code: terms of the datasets it was made of (mostly research, non-commercial)",
        "train",
        labels=("quat", "pos_size"),
    ),
}


# Old names of datasets: `dvc exp run -S` takes no key that begins with a digit.
RENAMED = {"300wlp": "w300lp"}


def in_pipeline(*roles: Role) -> dict[str, Dataset]:
    """The rows of all datasets of the pipeline, or of those with one of these roles."""
    return {name: row for name, row in DATASETS.items() if row.archive and (not roles or row.role in roles)}
