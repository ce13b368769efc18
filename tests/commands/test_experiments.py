import pytest

from nntrack.commands import experiments

PARAMETERS = {
    "seed": 42.0, "lr": 0.003, "localizer.lr": 0.004, "convert.w300lp.limit": "None", "convert.biwi.limit": "None",
    "pose.backbone": "diracnet", "params.yaml:source": "synthetic", "data/hdf5/biwi.h5": "a1",
}  # fmt: skip


def row(name, figures=(1.5, 2.5), **changed):
    given = {key.replace("__", "."): value for key, value in changed.items()}
    found = dict(zip(("average", "geodesic"), figures, strict=True))
    return {"Experiment": name, "rev": "workspace", "parent": "", **found, **PARAMETERS, **given}


def test_parameters_that_differ_are_called_by_the_shortest_name_that_tells_them_apart():
    rows = [row(None), row("one", convert__w300lp__limit=10.0), row("two", lr=0.001, pose__backbone="resnet18")]
    table = experiments.tabulate(rows)
    assert list(table[0]) == ["experiment", "lr", "w300lp.limit", "backbone", *experiments.FIGURES]
    assert [line["experiment"] for line in table] == ["workspace", "one", "two"]
    begun = {**row("begun"), **dict.fromkeys(PARAMETERS)}
    assert list(experiments.tabulate([*rows, begun])[0]) == list(table[0])
    assert [line["w300lp.limit"] for line in table] == ["None", 10.0, "None"]


def test_sorted_by_a_column_that_some_lack(monkeypatch, capsys):
    rows = [row(None), row("queued", figures=(None, None), lr=0.001), row("best", figures=(1.0, 2.0), lr=0.002)]
    monkeypatch.setattr("dvc.api.exp_show", lambda num: rows)
    experiments.main(sort_by="geodesic")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines[2:]] == ["best", "workspace", "queued"]
    assert lines[2][:4] == ["best", "0.002", "1", "2"] and lines[4][2:] == [""] * len(experiments.FIGURES)
    with pytest.raises(ValueError, match="no column colour; there are experiment, lr, average"):
        experiments.main(sort_by="colour")
