// Rotations as unit quaternions [x, y, z, w]; x right, y down, z into the screen, as in docs/conventions.md.

export function multiply([ax, ay, az, aw], [bx, by, bz, bw]) {
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}

export function normalize(vector) {
  const length = Math.hypot(...vector);
  return Array.from(vector, (value) => value / length);
}

export function matrix([x, y, z, w]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ];
}

export function apply(quat, vector) {
  return matrix(quat).map(([a, b, c]) => a * vector[0] + b * vector[1] + c * vector[2]);
}
