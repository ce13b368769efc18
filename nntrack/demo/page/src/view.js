// One pair of networks: its tracker, its picture and its figures.
import { ANGLES } from "./chart.js";
import { drawHead } from "./draw.js";
import { Tracker } from "./tracker.js";

const KEPT = 0.9; // of an average over frames, by the next one
const UNSURE = 20; // degrees that the pose net states as its deviation: there may be no face any more

export class View {
  constructor(pair, title, { onRemove } = {}) {
    this.tracker = new Tracker(pair.localizer, pair.pose);
    this.element = document.getElementById("view").content.firstElementChild.cloneNode(true);
    this.canvas = this.element.querySelector("canvas");
    this.overlay = this.element.querySelector(".overlay");
    this.element.querySelector("h2").textContent = title;
    const remove = this.element.querySelector(".remove");
    remove.hidden = !onRemove;
    remove.onclick = onRemove;
    this.say("Start the camera, or open or drop a picture or a video.");
  }

  say(text) {
    this.overlay.textContent = text;
  }

  reset() {
    this.tracker.reset();
    this.time = null;
  }

  // Track the head in a frame, an image for the tracker.
  async track(frame) {
    const start = performance.now();
    const pose = await this.tracker.track(frame);
    const time = performance.now() - start;
    this.time = this.time ? KEPT * this.time + (1 - KEPT) * time : time;
    return pose;
  }

  // Show what is on `picture`, a canvas, and the pose found there.
  show(picture, pose, fps) {
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      Object.assign(canvas, { width: picture.width, height: picture.height });
    }
    canvas.dataset.drawn = "";
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const unsure = pose?.deviation && deviation(pose) > UNSURE;
    if (pose) drawHead(context, pose, unsure ? 0.35 : 1);
    this.say(pose ? (unsure ? "Unsure of the face" : "") : "No face found");
    for (const name of ANGLES) this.#set(name, pose, (p) => `${sign(p[name])}°`);
    this.#set("distance", pose, (p) => `${Math.round(p.position[2] / 10)} cm`);
    this.#set("deviation", pose?.deviation && pose, (p) => `± ${deviation(p).toFixed(1)}°`);
    const { score } = this.tracker;
    this.#set("score", score !== null, () => `${Math.round(100 * score)} %`);
    this.#set("time", true, () => `${this.time.toFixed(this.time < 100 ? 1 : 0)} ms`);
    this.#set("fps", fps, () => `${fps.toFixed(0)} / s`);
  }

  #set(name, given, text) {
    this.element.querySelector(`[data-value="${name}"]`).textContent = given ? text(given) : "–";
  }
}

const deviation = (pose) => Math.hypot(...pose.deviation);

function sign(angle) {
  const text = Math.abs(angle).toFixed(1);
  return text === "0.0" ? text : `${angle < 0 ? "−" : "+"}${text}`;
}
