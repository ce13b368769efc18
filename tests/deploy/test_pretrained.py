import json
import shutil
import subprocess
from pathlib import Path

import pytest

from nntrack import config
from nntrack.deploy import export, pretrained, runtime
from nntrack.deploy.check import check_contract
from tests.conftest import ROOT
from tests.deploy.test_export import localizer_net, pose_net

FILES = (pretrained.LOCALIZER, pretrained.POSE_NET)


def test_networks_are_looked_for_where_they_are_named_then_in_the_last_run_then_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pretrained.find("mine") == tuple(Path("mine") / name for name in FILES)
    assert pretrained.find() == tuple(pretrained.FOLDER / name for name in FILES)
    pretrained.MODELS.mkdir(parents=True)
    for name in FILES:
        assert pretrained.find()[0].parent == pretrained.FOLDER
        (pretrained.MODELS / name).touch()
    assert pretrained.find() == tuple(pretrained.MODELS / name for name in FILES)


class TestThoseOfThePackage:
    record = json.loads((pretrained.FOLDER / pretrained.RECORD).read_text())

    def test_files_are_those_of_the_record(self):
        assert {*self.record["files"]} == {*FILES, pretrained.CARD, pretrained.PARAMS}
        for name, digest in self.record["files"].items():
            assert pretrained.sha256(pretrained.FOLDER / name) == digest
        assert sum((pretrained.FOLDER / name).stat().st_size for name in FILES) <= pretrained.LARGEST

    def test_the_parameters_are_those_of_the_training(self):
        params = config.load(pretrained.FOLDER / pretrained.PARAMS)
        for name in FILES:
            facts = runtime.load(pretrained.FOLDER / name).metadata
            assert (facts["source"], facts["params"]) == ("synthetic", params.training_digest)

    def test_the_card_has_the_figures_of_the_record(self):
        card = (pretrained.FOLDER / pretrained.CARD).read_text()
        metrics = self.record["metrics"]
        for name in ("yaw", "pitch", "roll", "average", "geodesic"):
            assert f"| {metrics['aflw2k'][name]:.2f} (" in card.replace("|  ", "| ")
        assert f"{metrics['localizer']['accuracy']:.3f} (" in card
        assert config.load(pretrained.FOLDER / pretrained.PARAMS).training_digest in card

    @pytest.mark.parametrize("name", FILES)
    def test_the_client_can_use_them(self, name):
        assert not [row for row in check_contract(pretrained.FOLDER / name) if row.fault]


@pytest.fixture
def project(tmp_path):
    """A project after a run, committed, with networks of its parameters."""
    folder = tmp_path / "project"
    for part in ("reports", "metrics", "models/onnx", "nntrack"):
        (folder / part).mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "nntrack/code.py").write_text("")
    (folder / "reports" / pretrained.CARD).write_text("card")
    for name in pretrained.METRICS:
        (folder / f"metrics/{name}.json").write_text('{"average": 1.0}')
    write(folder, "synthetic", config.load(folder / "params.yaml").training_digest)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a run"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)
    return folder


def write(folder, source, digest):
    facts = export.provenance({"w300lp": {"source": source, "kept": 1}}, digest)
    export.export_pose(pose_net(), folder / pretrained.MODELS / pretrained.POSE_NET, facts)
    export.export_localizer(localizer_net(), folder / pretrained.MODELS / pretrained.LOCALIZER, facts)


def test_a_renewal_takes_files_figures_and_commit_of_the_run(project, tmp_path):
    record = pretrained.renew(project, tmp_path / "package")
    assert {path.name for path in (tmp_path / "package").iterdir()} == {*record["files"], pretrained.RECORD}
    assert json.loads((tmp_path / "package" / pretrained.RECORD).read_text()) == record
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True).stdout.strip()
    assert record["commit"] == head
    assert record["metrics"]["aflw2k"] == {"average": 1.0}


def test_only_networks_that_anybody_can_make_and_use_are_taken(project, tmp_path):
    package = tmp_path / "package"
    digest = config.load(project / "params.yaml").training_digest
    write(project, "real", digest)
    with pytest.raises(ValueError, match="was trained on real data"):
        pretrained.renew(project, package)
    write(project, "synthetic", "another")
    with pytest.raises(ValueError, match="was trained with other parameters"):
        pretrained.renew(project, package)
    write(project, "synthetic", digest)
    (project / "nntrack/code.py").write_text("changed")
    with pytest.raises(ValueError, match=r"the code is not committed \(nntrack/code.py\)"):
        pretrained.renew(project, package)
    (project / "nntrack/code.py").write_text("")
    (project / "reports" / pretrained.CARD).unlink()
    with pytest.raises(FileNotFoundError):
        pretrained.renew(project, package)
    assert not package.exists()
