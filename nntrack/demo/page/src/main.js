// Connects the page's controls, a source of frames and the views.
import { Chart } from "./chart.js";
import { WORLD_POSE } from "./contract.js";
import { fromRgba } from "./image.js";
import { KINDS, fetched, load } from "./networks.js";
import { camera, onFrame, opened } from "./sources.js";
import { View } from "./view.js";

const LOOKS = 5; // at a picture, in which the window settles
const FRAMES = 20; // over which the frames per second are averaged

const get = (id) => document.getElementById(id);
const chart = new Chart(get("chart"));
const picture = document.createElement("canvas");
const views = [];
let builtIn; // the pair of this page
let source = null;
let times = []; // of the last frames, ms
let busy = Promise.resolve(); // one network runs at a time

// ---- frames

function frame() {
  Object.assign(picture, { width: source.width, height: source.height });
  const context = picture.getContext("2d", { willReadFrequently: true });
  context.drawImage(source.image, 0, 0, source.width, source.height);
  return fromRgba(context.getImageData(0, 0, source.width, source.height));
}

async function look(looks) {
  const image = frame();
  const time = performance.now();
  times = [...times, time].slice(-FRAMES);
  const fps = looks === 1 && times.length > 1 ? (1000 * (times.length - 1)) / (time - times[0]) : 0;
  for (const [i, view] of views.entries()) {
    let pose = null;
    for (let n = 0; n < looks; n++) pose = await view.track(image);
    view.show(picture, pose, fps);
    chart.add(i, time, pose);
    view.element.dispatchEvent(new CustomEvent("pose", { bubbles: true, detail: { view: i, time, pose } }));
  }
  chart.draw(time);
}

function next() {
  const current = source;
  onFrame(current, () => {
    exclusively(async () => {
      if (source !== current) return;
      await look(1);
      next();
    });
  });
}

// Runs tasks one after the other; shows the error of one that fails.
function exclusively(task) {
  busy = busy.then(task).catch((error) => say(error.message));
  return busy;
}

// ---- controls

function say(text) {
  get("message").textContent = text;
  get("message").hidden = !text;
}

function restart() {
  times = [];
  for (const view of views) view.reset();
  chart.clear();
  if (source?.still) return look(LOOKS);
}

async function use(wanted) {
  say("");
  const made = await wanted;
  source?.stop();
  source = made;
  await restart();
  if (!source.still) next();
  document.body.dataset.source = source.still ? "picture" : "video";
}

async function compare(files) {
  say("");
  const pair = { ...builtIn };
  for (const file of files) {
    const network = await load(file.name, new Uint8Array(await file.arrayBuffer()));
    pair[network.kind] = network;
  }
  uncompare();
  add(pair, files.map((file) => file.name).join(" and "), () => exclusively(uncompare));
  await restart();
}

function uncompare() {
  while (views.length > 1) views.pop().element.remove();
  chart.clear();
  arrange();
}

function add(pair, title, onRemove) {
  const view = new View(pair, title, { onRemove });
  view.tracker.fov = Number(get("fov").value);
  views.push(view);
  get("views").append(view.element);
  arrange();
}

function arrange() {
  get("views").classList.toggle("single", views.length === 1);
  get("dashed").hidden = views.length === 1;
}

function take(files) {
  const networks = files.filter((file) => file.name.toLowerCase().endsWith(".onnx"));
  const [other] = files.filter((file) => !networks.includes(file));
  if (networks.length) exclusively(() => compare(networks));
  if (other) exclusively(() => use(opened(other)));
}

get("camera").onclick = () => exclusively(() => use(camera()));
for (const id of ["file", "models"]) {
  get(id).onchange = ({ target }) => {
    take([...target.files]);
    target.value = "";
  };
}
get("mirror").onchange = ({ target }) => get("views").classList.toggle("mirrored", target.checked);
get("fov").value = WORLD_POSE.fov;
get("fov").onchange = ({ target }) => {
  if (!target.checkValidity() || !target.value) target.value = WORLD_POSE.fov;
  for (const view of views) view.tracker.fov = Number(target.value);
  exclusively(restart);
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  get("drop").hidden = false;
});
addEventListener("dragleave", ({ relatedTarget }) => (get("drop").hidden = relatedTarget === null));
addEventListener("drop", (event) => {
  event.preventDefault();
  get("drop").hidden = true;
  take([...event.dataTransfer.files]);
});
addEventListener("resize", () => chart.draw(performance.now()));

// ---- start

exclusively(async () => {
  chart.clear();
  builtIn = {};
  for (const file of Object.values(KINDS)) {
    const network = await fetched(`models/${file}`);
    builtIn[network.kind] = network;
  }
  add(builtIn, "Networks of this page");
  document.body.dataset.ready = "";
});
