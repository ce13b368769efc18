// What of a frame the two networks see, as nntrack/deploy/preprocess.py.
import { LIVE_LOOP, LOCALIZER_SIZE, PREPROCESSING } from "./contract.js";
import { clamp, crop, pyrDown, rectSubPix, resizeArea, roundHalfEven, toGrey } from "./image.js";

// The middle of a frame that the client looks at, and where its corner is: {frame, left, top}.
export function cropFrame(frame) {
  const [across, down] = LIVE_LOOP.aspect;
  const height = Math.min(frame.height, Math.floor((frame.width * down) / across));
  const width = Math.min(frame.width, Math.floor((frame.height * across) / down));
  const [w, h] = [width, height].map((length) => length - (length % LIVE_LOOP.multiple));
  if (!w || !h) throw new Error(`A frame of ${frame.width} x ${frame.height} px is too small to track a face in.`);
  const left = ((frame.width - width) >> 1) + ((width - w) >> 1);
  const top = ((frame.height - height) >> 1) + ((height - h) >> 1);
  return { frame: crop(frame, left, top, w, h), left, top };
}

// The cropped frame in grey, then at half its size, and so on; halved in colour.
export function pyramid(frame) {
  const levels = [frame];
  while (levels.length < LIVE_LOOP.levels && levels.at(-1).width >= LIVE_LOOP.halve_from) {
    levels.push(pyrDown(levels.at(-1)));
  }
  return levels.map(toGrey);
}

// The square {x, y, side} in px that is cut for a window [x, y, width, height]: each rounded by itself.
export function clientSquare(window, { width, height }) {
  const [x, y, w, h] = window.map(roundHalfEven);
  return { x: clamp(x + w / 2, 0, width), y: clamp(y + h / 2, 0, height), side: Math.max(w, h) };
}

export function cutPatch(image, square, size) {
  return resizeArea(rectSubPix(image, square.side, square.x, square.y), size, size);
}

// The pose net's input: dark patches are brightened.
export function poseInput(patch) {
  const rule = PREPROCESSING;
  const counts = new Uint32Array(256);
  for (const value of patch.data) counts[value]++;
  const wanted = Math.floor(patch.data.length * rule.quantile);
  let level = 0;
  for (let sum = counts[0]; sum <= wanted; sum += counts[++level]);
  return toFloat(patch, level < rule.dark_below ? rule.target / Math.max(rule.floor, level) : 1 / 255);
}

export function localizerInput(frame) {
  return toFloat(resizeArea(frame, LOCALIZER_SIZE[1], LOCALIZER_SIZE[0]), 1 / 255);
}

function toFloat(image, gain) {
  const factor = Math.fround(gain);
  return Float32Array.from(image.data, (value) => value * factor - PREPROCESSING.offset);
}
