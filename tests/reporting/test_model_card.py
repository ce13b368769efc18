from nntrack.reporting.model_card import model_card
from tests.reporting.made_up import cells, facts, measured


def test_the_card_states_data_terms_and_weaknesses(tmp_path):
    text = model_card(measured(), facts(tmp_path))
    assert ("pose", "w300lp", "synthetic", "61", "NaN: 3", "research only") in cells(text)
    assert "no dataset's licence applies" in text and "are a demonstration" in text and "scanned head" not in text
    assert "yaw 0 to 30 and 60 to 90" in text and "0123456789abcdef" in text and "4567" in text
    assert "- Pose net, `center`: **synthetic** archives" in text and "- Localizer, `val`:" in text
    real = model_card(measured("real", 1969), facts(tmp_path, "real"), "data/facekit")
    assert "w300lp: research only" in real and "are a demonstration" not in real and "data/facekit" not in real


def test_the_card_names_a_scanned_head(tmp_path):
    text = model_card(measured(), facts(tmp_path), "data/facekit")
    assert "scanned head model in `data/facekit`, whose terms apply as well" in text
