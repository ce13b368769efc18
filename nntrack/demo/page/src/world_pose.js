// The head in space from what a pose net sees in a frame, as nntrack/deploy/world_pose.py.
import { WORLD_POSE } from "./contract.js";
import { apply, matrix, multiply, normalize } from "./rotations.js";

const DEGREES = 180 / Math.PI;

// {quat, position}: position in mm, x right, y down, z away from the camera, of a point at the neck.
// quat [x, y, z, w] and posSize [x, y, size] in px are of a frame {width, height}.
export function toWorld(quat, posSize, { width, height }, fov = WORLD_POSE.fov) {
  const focal = Math.hypot(width, height) / 2 / Math.tan(fov / DEGREES / 2); // px
  const [x, y, size] = posSize;
  const depth = (focal / (2 * size)) * WORLD_POSE.head_height;
  const ray = normalize([(x - width / 2) / focal, (y - height / 2) / focal, 1]);
  const turn = normalize([-ray[1], ray[0], 0, 1 + ray[2]]); // from the camera's axis to the ray
  const turned = multiply(turn, quat);
  const neck = apply(turned, WORLD_POSE.offset);
  const place = [((x - width / 2) / focal) * depth, ((y - height / 2) / focal) * depth, depth];
  return { quat: turned, position: place.map((value, i) => value + neck[i]) };
}

// {yaw, pitch, roll} in degrees, as the client reports them.
export function angles(quat) {
  const m = matrix(quat);
  return {
    yaw: Math.atan2(m[0][2], m[2][2]) * DEGREES,
    pitch: Math.atan2(m[1][2], Math.hypot(m[0][2], m[2][2])) * DEGREES,
    roll: Math.atan2(m[1][0], m[1][1]) * DEGREES,
  };
}
