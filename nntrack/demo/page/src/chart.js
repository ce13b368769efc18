// The angles of the last seconds as running lines.
export const ANGLES = ["yaw", "pitch", "roll"];
const SECONDS = 10;
const STEP = 30; // degrees between lines of the grid
const LEAST = 45; // degrees, what the chart reaches up and down at least

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.tracks = []; // per view: samples {time (ms), pose or null}
  }

  add(track, time, pose) {
    const samples = (this.tracks[track] ??= []);
    samples.push({ time, pose });
    while (samples[0].time < time - SECONDS * 1000) samples.shift();
  }

  clear() {
    this.tracks = [];
    this.draw(0);
  }

  draw(now) {
    const { canvas } = this;
    const ratio = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const values = this.tracks.flat().flatMap(({ pose }) => (pose ? ANGLES.map((name) => Math.abs(pose[name])) : []));
    const reach = values.reduce((most, value) => Math.max(most, value + 5), LEAST);
    const x = (time) => width - ((now - time) / 1000 / SECONDS) * (width - 40);
    const y = (angle) => height / 2 - (angle / reach) * (height / 2 - 6);
    this.#grid(context, style, reach, width, y);
    this.tracks.forEach((samples, track) => {
      context.setLineDash(track ? [5, 4] : []);
      for (const name of ANGLES) line(context, style.getPropertyValue(`--${name}`), samples, name, x, y);
    });
  }

  #grid(context, style, reach, width, y) {
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = style.getPropertyValue("--quiet");
    context.strokeStyle = style.getPropertyValue("--line");
    for (let angle = -STEP * Math.floor(reach / STEP); angle <= reach; angle += STEP) {
      context.beginPath();
      context.moveTo(36, y(angle));
      context.lineTo(width, y(angle));
      context.stroke();
      context.fillText(`${angle}°`, 0, y(angle));
    }
  }
}

function line(context, colour, samples, name, x, y) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  let drawing = false; // no line where there was no face
  for (const { time, pose } of samples) {
    if (pose) context[drawing ? "lineTo" : "moveTo"](x(time), y(pose[name]));
    drawing = Boolean(pose);
  }
  context.stroke();
}
