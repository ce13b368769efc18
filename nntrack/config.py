"""The parameters of every stage (``params.yaml``), typed and checked: an unknown or ill-typed key is one clear line."""

import hashlib
import json
import os
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML

from nntrack.data.datasets import DATASETS

THREADS = 1024  # at most: every one needs memory, and the system's leave to start

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]  # lightning-fabric's names

_TOLD = "told"  # kind of an error whose message says all


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


class Synthesize(_Section):
    """What is drawn, and how much the synthetic archives hold."""

    head: str | None  # folder of a scanned head model, null for the built-in head
    aflw2k: Count  # photos
    photos_300wlp: Annotated[Count, Field(alias="300wlp")]  # photos, `views` pictures each
    views: Count
    clips: Count  # of YTFaces
    frames: Count  # per clip
    widerface: Count  # photos
    biwi: Count  # frames


class Dataset(_Section):
    """One archive: whether it is used at all, at most how many samples, and every which frame of a video is taken."""

    use: bool = True
    limit: Count | None = None
    stride: Count = 1


class Convert(_Section):
    """Archives to HDF5. Every further key is a dataset, and the name of its reader."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Dataset]

    max_bad_share: Share  # of an archive's samples; more than this fails the stage
    size: Count  # side of a stored training crop in pixels
    margin: Annotated[float, Field(ge=1)]  # side of the crop / side of the square about the face box

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.datasets:
            if name not in DATASETS:
                told = {"name": name, "known": ", ".join(sorted(DATASETS))}
                raise PydanticCustomError(_TOLD, "no such dataset; known: {known}", told)
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those of the pipeline, in the order of the file."""
        return tuple(self.__pydantic_extra__)

    def dataset(self, name: str) -> Dataset:
        """The section of one dataset; all of it, if there is none, as of a file that is converted by hand."""
        return self.__pydantic_extra__.get(name, Dataset())


class Split(_Section):
    """The share of photos or persons that no training sees."""

    held_out: Share


class FaceModel(_Section):
    """Modes of the deformable face model."""

    shape_modes: Count
    expression_modes: Count


class Schedule(_Section):
    """What both trainings share."""

    batch_size: Count
    steps: Count
    warmup_steps: Annotated[int, Field(ge=0)]
    weight_decay: Weight
    ema_decay: Share
    validate_every: Count  # steps
    losses: dict[str, Weight]  # name: weight


class Augment(_Section):
    """How training images vary: standard deviations, half ranges and probabilities."""

    rotation: Weight  # degrees, half range in the image plane of a triangular distribution
    scale: Weight  # half range of the log of the window's size
    shift: Weight  # standard deviation, in shares of the window's side
    flip: Share
    intensity: Share  # probability of another gamma, gain and offset
    blur: Share
    noise: Weight  # largest standard deviation, grey levels of 0..1
    occlusion: Share


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
    sampling: dict[str, Weight]  # dataset: share of a batch
    augment: Augment

    @model_validator(mode="after")
    def _check_sampling(self) -> Self:
        if not any(self.sampling.values()):
            raise PydanticCustomError(_TOLD, "no dataset has a share to learn from", {"name": "sampling"})
        return self


class Stability(_Section):
    """How much is looked at to see how the pose net shakes."""

    faces: Count  # of AFLW2000-3D, evenly chosen
    draws: Annotated[int, Field(ge=2)]  # of noise, per face and strength


class Evaluate(_Section):
    """Pose protocols on AFLW2000-3D."""

    bbox_scale: Positive  # side of the crop / longer side of the landmark box
    center_crop: Positive  # side of the fixed centre crop / side of the photo
    stability: Stability


class Params(_Section):
    """All of ``params.yaml``."""

    source: Literal["synthetic", "real"]
    seed: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=1, le=THREADS)]
    lr: Positive
    precision: Literal[Precision, "auto"]  # auto: what this machine is fastest with
    devices: Count  # per machine
    nodes: Count  # machines
    synthesize: Synthesize
    convert: Convert
    split: Split
    facemodel: FaceModel
    localizer: Localizer
    pose: Pose
    evaluate: Evaluate


def load(path: str | os.PathLike[str] = "params.yaml") -> Params:
    """Read and check the parameters. Raises ValueError with one line that names file and key."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there: stages are run in the folder of the project")
    return parse(read_yaml(path), os.fspath(path))


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """What a file says in YAML 1.2, read as DVC does, whose ``-S`` writes 1e-05: to YAML 1.1 that is no number.

    Raises ValueError with one line that names the file.
    """
    try:
        return YAML(typ="safe", pure=True).load(Path(path))
    except OSError:
        raise
    except Exception as error:  # for a date that is none or lists a thousand deep the library has others than its own
        raise ValueError(f"{path} is not YAML in UTF-8: {' '.join(str(error).split())}") from error


def parse(values: Any, origin: str) -> Params:
    """Check parameters given as nested dicts; ``origin`` is what an error calls them."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        found = [f"{_key(_place(e))}: {_explain(e)}" for e in error.errors()]
        raise ValueError(f"{origin}: {'; '.join(found)}") from None


def digest(values: Any) -> str:
    """A short fingerprint of JSON-like values, the same on every machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _place(error: Any) -> tuple[str | int, ...]:
    return (*error["loc"], error["ctx"]["name"]) if error["type"] == _TOLD else error["loc"]


def _key(parts: tuple[str | int, ...]) -> str:
    """The name of a parameter; parts that are no plain word are quoted, so that it stays in its line."""
    return (
        ".".join(str(part) if str(part).isidentifier() or str(part).isalnum() else repr(part) for part in parts)
        or "the file"
    )


def _explain(error: Any) -> str:
    if error["type"] == _TOLD:
        return error["msg"]
    if error["type"] == "extra_forbidden":
        return "no such parameter"
    if error["type"] == "missing":
        return "is missing"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {reprlib.repr(error['input'])}"
