// Both networks in the client's live loop, frame by frame, as nntrack/deploy/tracker.py, without its filter.
//
// A window is [x, y, width, height] in px of the smallest of the frame's sizes, in single precision.
import { LARGEST_WINDOW, LIVE_LOOP, LOCALIZER_THRESHOLD, WORLD_POSE } from "./contract.js";
import { clamp } from "./image.js";
import { clientSquare, cropFrame, cutPatch, localizerInput, poseInput, pyramid } from "./preprocess.js";
import { normalize } from "./rotations.js";
import { angles, toWorld } from "./world_pose.js";

export class Tracker {
  // localizer, poseNet: with `run(Float32Array)` to a promise of outputs by name; poseNet also has `size` in px.
  constructor(localizer, poseNet, { fov = WORLD_POSE.fov } = {}) {
    Object.assign(this, { localizer, poseNet, fov });
    this.reset();
  }

  // Forget the face.
  reset() {
    this.window = null;
    this.found = null; // the localizer's last box, if the window is of the same face
    this.score = null; // of the localizer, when it ran last
  }

  // The head in the next frame, an image of 1 or 3 channels; null if there is none. All places are px of that frame.
  async track(image) {
    const { frame, left, top } = cropFrame(image);
    const levels = pyramid(frame);
    await this.#localize(levels.at(-1));
    if (!this.window) return null;
    const seen = await this.#look(levels);
    if (!seen) return null;
    const { level, square, raw } = seen;
    const quat = normalize(raw.quat);
    const half = square.side / 2;
    const [px, py, size] = raw.pos_size;
    const posSize = [square.x + half * px, square.y + half * py, half * size];
    const world = toWorld(quat, posSize, level, this.fov);
    const scale = levels[0].height / level.height;
    const toFrame = (x, y) => [x * scale + left, y * scale + top];
    const inFrame = (points, step) =>
      Array.from({ length: points.length / step }, (_, i) =>
        toFrame(square.x + half * points[i * step], square.y + half * points[i * step + 1]),
      );
    return {
      ...angles(world.quat),
      position: world.position,
      quat,
      posSize: [...toFrame(posSize[0], posSize[1]), posSize[2] * scale],
      window: [...toFrame(square.x - half, square.y - half), square.side * scale],
      box: inFrame(raw.box, 2).flat(),
      landmarks: raw.landmarks?.length === 3 * 68 ? inFrame(raw.landmarks, 3) : null,
      deviation: raw.rotaxis_scales_tril ? rowNorms(raw.rotaxis_scales_tril).map((v) => (v * 180) / Math.PI) : null,
      score: this.score,
    };
  }

  async #localize(frame) {
    if (this.found && this.window && iou(this.found, this.window) >= LIVE_LOOP.same_face) return;
    const [logit, ...corners] = (await this.localizer.run(localizerInput(frame))).logit_box;
    this.score = 1 / (1 + Math.exp(-logit));
    const sides = [frame.width, frame.height];
    const [x0, y0, x1, y1] = corners.map((value, i) => ((value + 1) / 2) * sides[i % 2]);
    const box = single([x0, y0, x1 - x0, y1 - y0]);
    const small = box[2] < LIVE_LOOP.smallest_face && box[3] < LIVE_LOOP.smallest_face;
    if (this.score <= LOCALIZER_THRESHOLD || small) {
      this.found = null; // the pose net is trusted with the window, if there is one
      return;
    }
    this.found = box;
    if (!this.window || iou(box, this.window) < LIVE_LOOP.same_face) this.window = box;
  }

  // One look of the pose net, after which the window is the next one; null if the window had to be dropped.
  async #look(levels) {
    const coarse = levels.at(-1);
    const level = levels[this.#levelNumber(levels)];
    const zoom = level.height / coarse.height;
    const square = clientSquare(single(this.window.map((value) => value * zoom)), level);
    if (square.side <= 0) return this.#drop();
    const raw = await this.poseNet.run(poseInput(cutPatch(level, square, this.poseNet.size)));
    const half = square.side / 2;
    const [x0, y0, x1, y1] = raw.box;
    const next = [square.x + half * x0, square.y + half * y0, half * (x1 - x0), half * (y1 - y0)];
    this.window = single(next.map((value) => value / zoom));
    return Math.max(...this.window.slice(2)) > LARGEST_WINDOW * coarse.width ? this.#drop() : { level, square, raw };
  }

  // Of the size in which the window has as many pixels as the net's input, or up to twice as many.
  #levelNumber(levels) {
    const width = (levels[0].height / levels.at(-1).height) * this.window[2];
    return width > 0 ? clamp(Math.floor(Math.log2(width / this.poseNet.size)), 0, levels.length - 1) : 0;
  }

  #drop() {
    this.window = this.found = null;
    return null;
  }
}

export function iou(a, b) {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const shared = width > 0 && height > 0 ? width * height : 0;
  const union = a[2] * a[3] + b[2] * b[3] - shared;
  return union ? shared / union : 0;
}

const single = (values) => values.map(Math.fround);
const rowNorms = (m) => [0, 3, 6].map((i) => Math.hypot(m[i], m[i + 1], m[i + 2]));
