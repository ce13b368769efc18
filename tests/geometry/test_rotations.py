import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nntrack.geometry import rotations

NAMESPACES = {"numpy": np.asarray, "torch": torch.asarray}
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}


@pytest.fixture(params=NAMESPACES)
def convert(request):
    return NAMESPACES[request.param]


@pytest.fixture(params=TOLERANCE, ids=lambda t: t.__name__)
def dtype(request):
    return request.param


def rotvecs(rng, dtype, count=60):
    """Rotations from almost none to exactly a half turn."""
    axes = rng.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.concatenate([[0, 1e-9, 1e-5, 1e-3, np.pi - 1e-5, np.pi], rng.uniform(0, np.pi, count - 6)])
    return (axes * angles[:, None]).astype(dtype)


def quats(rng, dtype):
    return Rotation.from_rotvec(rotvecs(rng, dtype)).as_quat().astype(dtype)


def angle_between(a, b):
    return (Rotation.from_quat(np.asarray(a)).inv() * Rotation.from_quat(np.asarray(b))).magnitude().max()


def test_the_mean_is_scipys_and_knows_no_sign(rng, convert):
    centres = Rotation.random(20, random_state=rng)
    near = [centre * Rotation.from_rotvec(rng.normal(0, 0.3, (9, 3))) for centre in centres]
    flipped = np.stack([r.as_quat() for r in near]) * rng.choice([-1, 1], (20, 9, 1))
    found = np.asarray(rotations.mean_quat(convert(flipped)))
    assert angle_between(found, np.stack([r.mean().as_quat() for r in near])) < 1e-7


def test_products_inverses_and_matrices_agree_with_scipy(rng, convert, dtype):
    a, b = quats(rng, dtype), quats(rng, dtype)[::-1].copy()
    tolerance = TOLERANCE[dtype]
    expected = (Rotation.from_quat(a) * Rotation.from_quat(b)).as_quat()
    assert angle_between(rotations.quat_multiply(convert(a), convert(b)), expected) < 4 * tolerance
    assert angle_between(rotations.quat_conjugate(convert(a)), Rotation.from_quat(a).inv().as_quat()) < 4 * tolerance
    matrices = np.asarray(rotations.quat_to_rotmat(convert(a)))
    assert np.abs(matrices - Rotation.from_quat(a).as_matrix()).max() < tolerance
    vectors = rng.normal(size=(len(a), 3)).astype(dtype)
    moved = np.asarray(rotations.quat_apply(convert(a), convert(vectors)))
    assert np.abs(moved - Rotation.from_quat(a).apply(vectors)).max() < 10 * tolerance
    assert moved.dtype == dtype


def test_round_trips_at_every_angle(rng, convert, dtype):
    quat = convert(quats(rng, dtype))
    tolerance = 20 * TOLERANCE[dtype]
    assert angle_between(rotations.rotmat_to_quat(rotations.quat_to_rotmat(quat)), quat) < tolerance
    assert angle_between(rotations.rotvec_to_quat(rotations.quat_to_rotvec(quat)), quat) < tolerance
    assert angle_between(rotations.aflw_angles_to_quat(*rotations.quat_to_aflw_angles(quat)), quat) < 1e3 * tolerance
    columns = rotations.quat_to_rotmat(quat)
    six = np.concatenate([np.asarray(columns[..., 0]), np.asarray(columns[..., 1])], axis=-1) * dtype(3)
    assert np.abs(np.asarray(rotations.rot6d_to_rotmat(convert(six)) - columns)).max() < tolerance


def test_half_turn_from_matrix_is_a_unit_quaternion(convert, dtype):
    for diagonal in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1]):
        quat = np.asarray(rotations.rotmat_to_quat(convert(np.diag(np.array(diagonal, dtype)))))
        assert np.allclose(np.abs(quat), [*(np.array(diagonal) > 0), 0])


def test_rotvec_agrees_with_scipy(rng, convert, dtype):
    vectors = rotvecs(rng, dtype)
    assert angle_between(rotations.rotvec_to_quat(convert(vectors)), Rotation.from_rotvec(vectors).as_quat()) < (
        4 * TOLERANCE[dtype]
    )


def test_geodesic_distance_is_the_angle_and_keeps_its_digits_near_zero_and_pi(rng, convert, dtype):
    vectors = rotvecs(rng, dtype)
    zero = np.tile(np.array([0, 0, 0, 1], dtype), (len(vectors), 1))
    found = np.asarray(rotations.geodesic_distance(convert(zero), rotations.rotvec_to_quat(convert(vectors))))
    expected = np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert np.abs(found - expected).max() < 4 * TOLERANCE[dtype]
    a, b, turn = (convert(quats(rng, dtype)) for _ in range(3))
    left = rotations.geodesic_distance(rotations.quat_multiply(turn, a), rotations.quat_multiply(turn, b))
    assert np.allclose(np.asarray(left), np.asarray(rotations.geodesic_distance(a, b)), atol=20 * TOLERANCE[dtype])
    assert np.asarray(rotations.geodesic_distance(a, -a)).max() < 4 * TOLERANCE[dtype]


def test_aflw_angles_are_the_documented_euler_angles(rng, convert, dtype):
    pitch, yaw, roll = rng.uniform(-1.5, 1.5, (3, 50)).astype(dtype)
    expected = Rotation.from_euler("XYZ", np.stack([-pitch, yaw, roll], -1)).as_quat()
    found = rotations.aflw_angles_to_quat(convert(pitch), convert(yaw), convert(roll))
    assert angle_between(found, expected) < 10 * TOLERANCE[dtype]


def test_mirror_swaps_left_and_right(rng, convert, dtype):
    quat = quats(rng, dtype)
    flip = np.diag([-1, 1, 1])
    expected = flip @ Rotation.from_quat(quat).as_matrix() @ flip
    found = np.asarray(rotations.quat_to_rotmat(rotations.mirror_quat(convert(quat))))
    assert np.abs(found - expected).max() < TOLERANCE[dtype]


@pytest.mark.parametrize("function", ["rotvec_to_quat", "geodesic", "rot6d"])
def test_gradients_are_finite_where_the_value_is_singular(function):
    if function == "rotvec_to_quat":
        value = torch.zeros(3, requires_grad=True)
        result = rotations.rotvec_to_quat(value).sum()
    elif function == "geodesic":
        value = torch.tensor([0.0, 0, 0, 1], requires_grad=True)
        result = rotations.geodesic_distance(value, value.detach()).sum()
    else:
        value = torch.tensor([1.0, 0, 0, 0, 1, 0], requires_grad=True)
        result = rotations.rotmat_to_quat(rotations.rot6d_to_rotmat(value)).sum()
    result.backward()
    assert torch.isfinite(value.grad).all()
