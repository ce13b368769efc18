// ONNX files as the tracker's networks, checked as the client would have to: it checks little, and breaks later.
import { LOCALIZER_SIZE, MODEL_VERSIONS, POSE_OUTPUTS, POSE_REQUIRED, UNIT_TOLERANCE } from "./contract.js";
import { modelVersion } from "./onnx_file.js";

const LOCALIZER = { logit_box: [1, 5] };
export const KINDS = { localizer: "head-localizer.onnx", pose: "head-pose.onnx" }; // and their files beside the page

let started; // the runtime, a promise

async function runtime() {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1; // more need headers that not every web server sends
  ort.env.logLevel = "fatal"; // what goes wrong is told in the page
  ort.env.wasm.wasmPaths = { mjs: new URL("runtime.mjs", document.baseURI).href };
  ort.env.wasm.wasmBinary = await unpacked("runtime.wasm.gz");
  return ort;
}

async function unpacked(address) {
  const reply = await fetch(address);
  if (!reply.ok) throw new Error(`${address} is missing on the web server (${reply.status}).`);
  const bytes = new Uint8Array(await reply.arrayBuffer());
  if (bytes[0] !== 0x1f) return bytes.buffer; // some servers let the browser unpack it
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// One network of the two: {kind, name, run, size}. Throws an Error whose message says why a file is refused.
export async function load(name, bytes) {
  try {
    started ??= runtime();
    const ort = await started;
    const version = modelVersion(bytes);
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    const kind = session.outputNames.includes("logit_box") ? "localizer" : "pose";
    const size = inputSize(session, kind);
    const network = { kind, name, size: size[0], run: runner(ort, session, size) };
    checkOutputs(await network.run(new Float32Array(size[0] * size[1])), kind);
    if (kind === "pose" && (version < MODEL_VERSIONS[0] || version > MODEL_VERSIONS[1])) {
      throw new Error(`its model_version is ${version}, expected ${MODEL_VERSIONS.join(" to ")}`);
    }
    return network;
  } catch (error) {
    throw new Error(`${name} was refused: ${String(error.message ?? error).split("\n")[0]}.`);
  }
}

export async function fetched(address) {
  const reply = await fetch(address);
  if (!reply.ok) throw new Error(`${address} is missing on the web server (${reply.status}).`);
  return load(address.split("/").at(-1), new Uint8Array(await reply.arrayBuffer()));
}

function inputSize(session, kind) {
  if (session.inputNames.length !== 1 || session.inputNames[0] !== "x") {
    throw new Error(`its inputs are called ${session.inputNames.join(", ")}, expected one called x`);
  }
  const { shape, type } = session.inputMetadata[0];
  const [height, width] = shape.slice(-2);
  const fixed = shape.length === 4 && shape[0] === 1 && shape[1] === 1 && Number.isInteger(height) && Number.isInteger(width);
  const right = kind === "localizer" ? height === LOCALIZER_SIZE[0] && width === LOCALIZER_SIZE[1] : height === width;
  if (type !== "float32" || !fixed || !right) {
    const expected = kind === "localizer" ? LOCALIZER_SIZE.join("x") : "n x n";
    throw new Error(`its input is ${type} ${shape.join("x")}, expected float32 1x1x${expected}`);
  }
  return [height, width];
}

function runner(ort, session, [height, width]) {
  return async (values) => {
    const found = await session.run({ x: new ort.Tensor("float32", values, [1, 1, height, width]) });
    const outputs = {};
    for (const [name, tensor] of Object.entries(found)) {
      outputs[name] = tensor.data;
      outputs[name].shape = tensor.dims;
    }
    return outputs;
  };
}

function checkOutputs(outputs, kind) {
  const [expected, required] = kind === "localizer" ? [LOCALIZER, ["logit_box"]] : [POSE_OUTPUTS, POSE_REQUIRED];
  const missing = required.filter((name) => !(name in outputs));
  if (missing.length) {
    throw new Error(`no output is called ${missing.join(", ")}; it has ${Object.keys(outputs).join(", ")}`);
  }
  for (const [name, shape] of Object.entries(expected)) {
    if (!(name in outputs)) continue;
    if (String(outputs[name].shape) !== String(shape)) {
      throw new Error(`its output ${name} has the shape ${outputs[name].shape.join("x")}, expected ${shape.join("x")}`);
    }
    if (!outputs[name].every(Number.isFinite)) throw new Error(`its output ${name} is not finite`);
  }
  const length = kind === "pose" ? Math.hypot(...outputs.quat) : 1;
  if (Math.abs(length - 1) > UNIT_TOLERANCE) throw new Error(`its quaternion has length ${length.toFixed(3)}, expected 1`);
}
