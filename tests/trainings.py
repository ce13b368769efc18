"""Trainings of both nets, small enough to take steps of."""

import numpy as np

from nntrack import config
from nntrack.face_model import model
from nntrack.training import tasks
from nntrack.training.loop import Run
from tests import faces
from tests.conftest import ROOT

NETS = ("pose", "localizer")
RUN = Run(seed=3, threads=1, precision="32-true")
_PARAMS = config.load(ROOT / "params.yaml")
_SMALL = {"batch_size": 4, "steps": 1000, "warmup_steps": 2, "validate_every": 500}


def write(folder):
    """What `of` reads."""
    rng = np.random.default_rng(0)
    faces.write(folder / "w300lp.h5", faces.samples(rng, 8))
    faces.write(folder / "widerface.h5", faces.crops(rng, 8))
    model.save(folder / "facemodel.npz", faces.face_model())
    return folder


def of(net, folder):
    """The task of a net."""
    params = getattr(_PARAMS, net).model_copy(update=_SMALL)
    if net == "localizer":
        return tasks.localizer_task(folder / "widerface.h5", {}, params, RUN.seed)
    params = params.model_copy(update={"sampling": {"w300lp": 1.0}})
    return tasks.pose_task(folder, {}, folder / "facemodel.npz", params, 1e-3, RUN.seed)
