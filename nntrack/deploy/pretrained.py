"""The networks that come with the package: trained on rendered heads alone, for whoever has not trained any yet.

In ``nntrack/pretrained/`` lie the two ONNX files, their model card, the parameters that they were trained with, and
``record.json``: commit (str), files (sha256 by name), metrics (the files of ``metrics/`` that DVC prints, by name).
"""

import json
import os
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import nntrack
from nntrack import config
from nntrack.deploy import runtime
from nntrack.files import replacing, sha256, write_json

LOCALIZER, POSE_NET = "head-localizer.onnx", "head-pose.onnx"  # in the client's folder of models, and in ours
MODELS = Path("models/onnx")  # of the last run
FOLDER = Path(nntrack.__file__).parent / "pretrained"
CARD, PARAMS, RECORD = "model_card.md", "params.yaml", "record.json"
METRICS = ("aflw2k", "localizer")
_CODE = ("nntrack/", "stages/", "dvc.yaml")
LARGEST = 6 << 20  # bytes of both networks together


def find(models: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
    """The files of localizer and pose net: in ``models`` if given, else of the last run if it is there, else ours."""
    if models is None:
        models = MODELS if all((MODELS / name).exists() for name in (LOCALIZER, POSE_NET)) else FOLDER
    return Path(models) / LOCALIZER, Path(models) / POSE_NET


def renew(project: Path = Path(), folder: Path = FOLDER) -> dict[str, Any]:
    """Put the networks of the last ``dvc repro`` in ``project`` into the package; returns the record.

    Raises ValueError if they were not trained on rendered archives alone, with other parameters than those of
    ``params.yaml`` or by code that is not committed, or are too large; FileNotFoundError if something is missing.
    """
    onnx = [project / MODELS / name for name in (LOCALIZER, POSE_NET)]
    sources = [*onnx, project / "reports" / CARD, project / PARAMS]
    params = config.load(project / PARAMS)
    for path in onnx:
        facts = runtime.load(path).metadata
        if facts.get("source") != "synthetic":
            raise ValueError(f"{path} was trained on {facts.get('source')} data: only rendered heads are free of terms")
        if facts.get("params") != params.training_digest:
            raise ValueError(f"{path} was trained with other parameters than {project / PARAMS} has: run `dvc repro`")
    if sum(path.stat().st_size for path in onnx) > LARGEST:
        raise ValueError(f"the networks have more than {LARGEST} bytes, too many for the package")
    record = {
        "commit": _commit(project),
        "files": {path.name: sha256(path) for path in sources},
        "metrics": {name: json.loads((project / f"metrics/{name}.json").read_text()) for name in METRICS},
    }
    folder.mkdir(exist_ok=True)
    for path in sources:
        with replacing(folder / path.name) as partial:
            shutil.copyfile(path, partial)
    write_json(folder / RECORD, record)
    return record


def _commit(project: Path) -> str:
    """The commit of the project's code; raises ValueError if the code has changed since."""
    # only here, and a second to load
    from dulwich import porcelain
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        with Repo(str(project)) as repo:
            found = porcelain.status(repo, untracked_files="no")
            changed = [os.fsdecode(path) for path in chain(found.unstaged, *found.staged.values())]
            commit = repo.head().decode()
    except NotGitRepository as error:
        raise ValueError(
            f"{project.absolute()} is not the folder of a git repository, so no commit can be named"
        ) from error
    code = [path for path in changed if path.startswith(_CODE) and not path.startswith(f"nntrack/{FOLDER.name}/")]
    if code:
        raise ValueError(f"the code is not committed ({code[0]}), so nobody could make these networks again")
    return commit
