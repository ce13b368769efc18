// Draws a tracked head over a picture.
import { apply } from "./rotations.js";
import wires from "./wire_head.json";

const AXES = ["#ff4646", "#3cc83c", "#3282ff"]; // right, down, out of the face, as in the project's other pictures
const AXIS_LENGTH = 0.75; // head radii
const HEAD = "#ff961e";

// context: of a canvas of the frame's size. pose: of `Tracker.track`. strength: opacity, 0..1.
export function drawHead(context, pose, strength) {
  const width = Math.max(1, context.canvas.width / 500);
  drawWindow(context, pose.window, width);
  for (const { points, normals, face } of wires) drawWire(context, pose, points, normals, face, width, strength);
  context.globalAlpha = strength;
  drawAxes(context, pose, 2.6 * width);
  context.globalAlpha = 1;
}

function drawWindow(context, [x, y, side], width) {
  context.strokeStyle = "rgb(255 255 255 / 35%)";
  context.lineWidth = width;
  context.strokeRect(x, y, side, side);
}

function drawWire(context, { quat, posSize }, points, normals, face, width, strength) {
  const [x, y, size] = posSize;
  const places = points.map((point) => apply(quat, point)).map((p) => [x + p[0] * size, y + p[1] * size]);
  const near = normals.map((normal) => apply(quat, normal)[2] < 0);
  for (const side of [false, true]) {
    context.beginPath();
    for (let i = 0; i + 1 < places.length; i++) {
      if (near[i] !== side) continue;
      context.moveTo(...places[i]);
      context.lineTo(...places[i + 1]);
    }
    context.globalAlpha = strength * (side ? (face ? 0.95 : 0.55) : 0.12);
    context.strokeStyle = HEAD;
    context.lineWidth = width * (face ? 1.3 : 0.9);
    context.stroke();
  }
}

// The axis that points most towards the viewer last.
function drawAxes(context, { quat, posSize }, width) {
  const [x, y, size] = posSize;
  const ends = [[1, 0, 0], [0, 1, 0], [0, 0, -1]].map((axis) => apply(quat, axis));
  const order = [0, 1, 2].sort((a, b) => ends[b][2] - ends[a][2]);
  context.lineCap = "round";
  for (const i of order) {
    for (const [colour, extra] of [["rgb(0 0 0 / 45%)", 1.6], [AXES[i], 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * extra;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + AXIS_LENGTH * size * ends[i][0], y + AXIS_LENGTH * size * ends[i][1]);
      context.stroke();
    }
  }
}
