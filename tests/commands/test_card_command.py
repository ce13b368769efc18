import json

import pytest
import typer

from nntrack.commands import card
from nntrack.evaluation.card import card as measures
from nntrack.evaluation.card import faces
from tests import onnx_files


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(faces, "DRAWS", 2)
    families = {name: measures.FAMILIES[name] for name in ("light", "gain")}
    monkeypatch.setattr(measures, "FAMILIES", families)


@pytest.fixture
def networks(tmp_path):
    return onnx_files.localizer(tmp_path / "l.onnx"), onnx_files.pose(
        tmp_path / "p.onnx", box=[[-1, -1, 1, 1]], pos_size=[[0, 0, 0.5]]
    )


def test_a_card_is_written_and_equals_itself(networks, tmp_path, capsys):
    out, charts = tmp_path / "card.json", tmp_path / "charts"
    card.main(*networks, out=out, charts=charts, size=0.01)
    assert "rendered people (synthetic)" in capsys.readouterr().out
    assert json.loads(out.read_text())["sections"]["rendered"]["lines"]["gain_yaw_slope"]["value"] == 0
    assert (charts / "gain.svg").read_text().startswith("<svg")
    card.main(*networks, against=out, size=0.01)
    assert "0 better, " in capsys.readouterr().out


def test_a_line_that_is_much_worse_ends_the_command_with_1(networks, tmp_path, capsys):
    out = tmp_path / "card.json"
    card.main(*networks, out=out, size=0.01)
    content = json.loads(out.read_text())
    content["sections"]["rendered"]["lines"]["gain_yaw_slope"] |= {"value": 0.9, "low": 0.85, "high": 0.95}
    out.write_text(json.dumps(content))
    with pytest.raises(typer.Exit) as end:
        card.main(*networks, against=out, size=0.01)
    assert end.value.exit_code == 1
    assert "yaw: slope" in capsys.readouterr().out.split("worse by more than 5 %")[0]


def test_one_network_alone_is_an_error(networks):
    with pytest.raises(ValueError, match="name both networks"):
        card.main(networks[0])


@pytest.mark.parametrize("text", ["[]", "{}", "no JSON", '{"sections": {"rendered": {}}}', '{"sections": 3}'])
def test_another_file_is_no_card(networks, tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ValueError, match="no report card"):
        card.main(*networks, against=tmp_path / "card.json", size=0.01)
