// Compares the modules with numbers that the Python code gives, in the file that VECTORS names
// (tests/demo/test_modules.py writes it and runs this).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as contract from "../src/contract.js";
import * as image from "../src/image.js";
import * as preprocess from "../src/preprocess.js";
import { Tracker, iou } from "../src/tracker.js";
import { angles, toWorld } from "../src/world_pose.js";

const vectors = JSON.parse(readFileSync(process.env.VECTORS, "utf8"));

const unpack = ([width, height, channels, data]) =>
  image.image(width, height, channels, Uint8Array.from(Buffer.from(data, "base64")));

function equal(found, expected, { off = 0, often = 0 } = {}) {
  const wanted = unpack(expected);
  assert.deepEqual([found.width, found.height, found.channels], [wanted.width, wanted.height, wanted.channels]);
  let [most, count] = [0, 0];
  found.data.forEach((value, i) => {
    const difference = Math.abs(value - wanted.data[i]);
    most = Math.max(most, difference);
    count += difference > 0;
  });
  assert.ok(most <= off, `differs by ${most}`);
  assert.ok(count <= often * found.data.length, `${count} of ${found.data.length} pixels differ`);
}

function close(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) <= tolerance, `${value} is not ${expected[i]} (number ${i})`),
  );
}

test("the contract is the same", () => {
  for (const [name, value] of Object.entries(vectors.contract)) assert.deepEqual(contract[name], value, name);
});

test("grey levels", () => equal(image.toGrey(unpack(vectors.colour)), vectors.grey));

test("canvas pixels become B, G, R", () => {
  const { data } = image.fromRgba({ width: 1, height: 1, data: [1, 2, 3, 255] });
  assert.deepEqual([...data], [3, 2, 1]);
});

test("cropped frames", () => {
  for (const { frame, cropped, corner } of vectors.crops) {
    const found = preprocess.cropFrame(unpack(frame));
    equal(found.frame, cropped);
    assert.deepEqual([found.left, found.top], corner);
  }
  assert.throws(() => preprocess.cropFrame(image.image(6, 6)), /too small/);
});

test("pyramids", () => {
  for (const { frame, levels } of vectors.pyramids) {
    const found = preprocess.pyramid(unpack(frame));
    assert.equal(found.length, levels.length);
    found.forEach((level, i) => equal(level, levels[i]));
  }
});

test("squares", () => {
  for (const { window, shape, square } of vectors.squares) {
    assert.deepEqual(Object.values(preprocess.clientSquare(window, shape)), square);
  }
});

// INTER_AREA adds in single precision in an order of its own, so that a level may round to the other side
test("patches", () => {
  for (const { square, patch } of vectors.patches) {
    const found = preprocess.cutPatch(unpack(vectors.grey), square, vectors.size);
    equal(found, patch, { off: 1, often: 0.002 });
  }
});

test("inputs of the networks", () => {
  for (const { patch, input } of vectors.inputs) close(preprocess.poseInput(unpack(patch)), input, 1e-7);
  const found = preprocess.localizerInput(unpack(vectors.grey));
  const differences = found.map((value, i) => Math.abs(value - vectors.localizer_input[i]));
  assert.ok(Math.max(...differences) < 1.01 / 255 && differences.filter((d) => d > 1e-6).length < 50);
});

test("poses in space and their angles", () => {
  for (const { quat, pos_size, shape, fov, world, position, reported } of vectors.poses) {
    const found = toWorld(quat, pos_size, shape, fov);
    close(found.quat, world, 1e-9);
    close(found.position, position, 1e-6);
    close(Object.values(angles(found.quat)), reported, 1e-9);
  }
});

test("overlap of windows", () => {
  assert.equal(iou([0, 0, 2, 2], [1, 1, 2, 2]), 1 / 7);
  assert.equal(iou([0, 0, 0, 0], [0, 0, 0, 0]), 0);
});

// Networks that answer from a list: what the loop makes of the answers must be what Python's makes of them.
test("the loop", async () => {
  const { frame, size, runs } = vectors.loop;
  for (const { localizer, pose, expected } of runs) {
    const answers = (list, more) => {
      let next = 0;
      return { run: async () => list[Math.min(next++, list.length - 1)], ...more, calls: () => next };
    };
    const [first, second] = [answers(localizer), answers(pose, { size })];
    const tracker = new Tracker(first, second);
    for (const wanted of expected) {
      const found = await tracker.track(unpack(frame));
      assert.equal(found === null, wanted.angles === null);
      if (found) {
        close([found.yaw, found.pitch, found.roll], wanted.angles, 1e-4);
        close(found.position.map((v) => v / 10), wanted.position, 1e-4);
        close(found.posSize, wanted.pos_size, 1e-3);
        close(found.box, wanted.box, 1e-3);
        close([found.window[0], found.window[1], found.window[0] + found.window[2]], wanted.roi, 1e-9);
      }
      assert.deepEqual([first.calls(), second.calls()], wanted.calls);
    }
  }
});
