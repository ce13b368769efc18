"""Rotations in the house convention, for NumPy arrays and torch tensors alike.

Quaternions are unit, ``xyzw`` (real part last, as in SciPy and in the ONNX output), and act on column vectors.
The head frame is x right, y down, z into the screen; the identity looks into the camera. Every function is batch first
with any leading shape, keeps the dtype and namespace of its input, and is differentiable where the value is.

Components are taken as slices that keep their axis: indexed ones become 0-d and 1-d tensors in an exported ONNX graph,
which some importers (OpenCV's, for one) do not take.
"""

from typing import Any

from array_api_compat import array_namespace

Array = Any  # numpy.ndarray or torch.Tensor: the functions take either and return the same


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product a * b: the rotation b, then a. Shapes (..., 4), broadcast."""
    xp = array_namespace(a, b)
    ax, ay, az, aw = _components(a)
    bx, by, bz, bw = _components(b)
    return xp.concat(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def quat_conjugate(quat: Array) -> Array:
    """The inverse rotation, (..., 4)."""
    xp = array_namespace(quat)
    return xp.concat([-quat[..., :3], quat[..., 3:]], axis=-1)


def quat_apply(quat: Array, vectors: Array) -> Array:
    """Rotate ``vectors`` (..., 3) by ``quat`` (..., 4); leading shapes broadcast."""
    xp = array_namespace(quat, vectors)
    axis, real = quat[..., :3], quat[..., 3:]
    axis, vectors = xp.broadcast_arrays(axis, vectors)
    t = 2 * _cross(axis, vectors)
    return vectors + real * t + _cross(axis, t)


def quat_to_rotmat(quat: Array) -> Array:
    """Unit quaternions (..., 4) to matrices (..., 3, 3)."""
    xp = array_namespace(quat)
    x, y, z, w = _components(quat)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return xp.stack([xp.concat(row, axis=-1) for row in rows], axis=-2)


def rotmat_to_quat(rotmat: Array) -> Array:
    """Matrices (..., 3, 3) to unit quaternions (..., 4), well conditioned at every angle, half turns included.

    The rows of ``4 q q^T`` are linear in the matrix and each is a multiple of q; the one with the largest diagonal is
    normalised, so no small number is ever divided by. Source: Shepperd, "Quaternion from rotation matrix", 1978.
    """
    xp = array_namespace(rotmat)
    m = xp.reshape(rotmat, (*rotmat.shape[:-2], 9))  # m[..., 3 * row + column]
    t = (m[..., :1], m[..., 4:5], m[..., 8:])
    xy, xz, yz = m[..., 1:2] + m[..., 3:4], m[..., 2:3] + m[..., 6:7], m[..., 5:6] + m[..., 7:8]
    xw, yw, zw = m[..., 7:8] - m[..., 5:6], m[..., 2:3] - m[..., 6:7], m[..., 3:4] - m[..., 1:2]
    diagonal = (1 + t[0] - t[1] - t[2], 1 - t[0] + t[1] - t[2], 1 - t[0] - t[1] + t[2], 1 + t[0] + t[1] + t[2])
    rows = [
        [diagonal[0], xy, xz, xw],
        [xy, diagonal[1], yz, yw],
        [xz, yz, diagonal[2], zw],
        [xw, yw, zw, diagonal[3]],
    ]
    outer = xp.stack([xp.concat(row, axis=-1) for row in rows], axis=-2)  # (..., 4, 4): 4 q q^T
    best = xp.argmax(xp.concat(diagonal, axis=-1), axis=-1, keepdims=True)  # (..., 1)
    chosen = best == xp.arange(4, device=getattr(best, "device", None))  # (..., 4)
    row = xp.sum(xp.where(chosen[..., None], outer, xp.zeros_like(outer)), axis=-2)
    return normalize(row)


def rotvec_to_quat(rotvec: Array) -> Array:
    """Axis times angle in radians (..., 3) to a unit quaternion; smooth through zero."""
    xp = array_namespace(rotvec)
    square = xp.sum(rotvec * rotvec, axis=-1, keepdims=True)
    small = square < 1e-6
    safe = xp.where(small, xp.ones_like(square), square)
    angle = safe**0.5
    # sin(a/2)/a and cos(a/2); the series where a is so small that the quotient loses digits
    factor = xp.where(small, 0.5 - square / 48, xp.sin(angle / 2) / angle)
    real = xp.where(small, 1 - square / 8, xp.cos(angle / 2))
    return xp.concat([factor * rotvec, real], axis=-1)


def quat_to_rotvec(quat: Array) -> Array:
    """Unit quaternion (..., 4) to axis times angle, angle in [0, pi]. At exactly pi either of the two axes is right."""
    xp = array_namespace(quat)
    quat = quat * xp.where(quat[..., 3:] < 0, -1.0, 1.0)
    square = xp.sum(quat[..., :3] ** 2, axis=-1, keepdims=True)
    small = square < 1e-12
    sine = xp.where(small, xp.ones_like(square), square) ** 0.5
    angle = 2 * xp.atan2(sine, quat[..., 3:])
    return quat[..., :3] * xp.where(small, 2 * xp.ones_like(square), angle / sine)


def rot6d_to_rotmat(rot6d: Array) -> Array:
    """Two 3-vectors (..., 6), the first two *columns*, to a matrix by Gram-Schmidt (Zhou et al. 2019)."""
    xp = array_namespace(rot6d)
    a = normalize(rot6d[..., :3])
    b = rot6d[..., 3:]
    b = normalize(b - xp.sum(a * b, axis=-1, keepdims=True) * a)
    return xp.stack([a, b, _cross(a, b)], axis=-1)


def geodesic_distance(a: Array, b: Array) -> Array:
    """Angle in radians, 0..pi, between the rotations of two unit quaternions (..., 4).

    ``4 atan2(|a - b|, |a + b|)``, with b's sign chosen nearer to a: exact to rounding at 0 and at pi, where an arc
    cosine loses half the digits.
    """
    xp = array_namespace(a, b)
    dot = xp.sum(a * b, axis=-1, keepdims=True)
    b = xp.where(dot < 0, -b, b)
    # 1e-30 keeps the gradient of the root finite where the two are equal, and is below rounding in the angle
    minus = (xp.sum((a - b) ** 2, axis=-1) + 1e-30) ** 0.5
    plus = xp.sum((a + b) ** 2, axis=-1) ** 0.5
    return 4 * xp.atan2(minus, plus)


def mean_quat(quats: Array) -> Array:
    """The mean rotation (..., 4) of (..., n, 4): least sum of squared chords, whatever the signs.

    The eigenvector of the sum of ``q q^T`` with the largest eigenvalue. Source: Markley et al., "Averaging
    quaternions", 2007.
    """
    xp = array_namespace(quats)
    outer = xp.sum(quats[..., :, None] * quats[..., None, :], axis=-3)
    return xp.linalg.eigh(outer)[1][..., :, -1]


def aflw_angles_to_quat(pitch: Array, yaw: Array, roll: Array) -> Array:
    """AFLW2000-3D and 300W-LP ``Pose_Para`` angles in radians (...) to quaternions (..., 4).

    ``Rotation.from_euler("XYZ", [-pitch, yaw, roll])`` (intrinsic axes). 3DDFA builds ``Rx(-pitch) Ry(-yaw) Rz(-roll)``
    for y up and z toward the viewer; conjugated with diag(1, -1, -1) it is this rotation in the image frame.
    """
    xp = array_namespace(pitch, yaw, roll)
    zero = xp.zeros_like(pitch)
    x = rotvec_to_quat(xp.stack([-pitch, zero, zero], axis=-1))
    y = rotvec_to_quat(xp.stack([zero, yaw, zero], axis=-1))
    z = rotvec_to_quat(xp.stack([zero, zero, roll], axis=-1))
    return quat_multiply(quat_multiply(x, y), z)


def quat_to_aflw_angles(quat: Array) -> tuple[Array, Array, Array]:
    """The inverse of `aflw_angles_to_quat`: pitch, yaw, roll in radians, yaw in [-pi/2, pi/2].

    At |yaw| = pi/2 pitch and roll are not unique; any pair returned gives the same rotation only up to rounding there.
    """
    xp = array_namespace(quat)
    m = quat_to_rotmat(quat)
    pitch = xp.atan2(m[..., 1, 2], m[..., 2, 2])
    yaw = xp.asin(xp.clip(m[..., 0, 2], -1.0, 1.0))
    roll = xp.atan2(-m[..., 0, 1], m[..., 0, 0])
    return pitch, yaw, roll


def mirror_quat(quat: Array) -> Array:
    """The rotation seen in a mirror that swaps left and right: ``F R F`` with F = diag(-1, 1, 1)."""
    xp = array_namespace(quat)
    return xp.stack([quat[..., 0], -quat[..., 1], -quat[..., 2], quat[..., 3]], axis=-1)


def normalize(vectors: Array) -> Array:
    """Vectors (..., n) at unit length. The zero vector gives zeros divided by the smallest length, not NaN."""
    xp = array_namespace(vectors)
    length = xp.sum(vectors * vectors, axis=-1, keepdims=True) ** 0.5
    return vectors / xp.clip(length, 1e-12, None)


def _cross(a: Array, b: Array) -> Array:
    # written out: the namespace's own checks shapes in a way that cannot be traced for ONNX
    xp = array_namespace(a, b)
    return xp.concat(
        [
            a[..., 1:2] * b[..., 2:] - a[..., 2:] * b[..., 1:2],
            a[..., 2:] * b[..., :1] - a[..., :1] * b[..., 2:],
            a[..., :1] * b[..., 1:2] - a[..., 1:2] * b[..., :1],
        ],
        axis=-1,
    )


def _components(vectors: Array) -> list[Array]:
    """The components (..., 1) of vectors (..., n)."""
    return [vectors[..., i : i + 1] for i in range(vectors.shape[-1])]
