// Operations on images as OpenCV does them, to the last bit where that matters.
// An image is {width, height, channels, data}, data a Uint8Array of rows; channels are 1, or 3 in the order B, G, R.

const FIXED_GREY = [3735, 19235, 9798]; // weights of B, G, R in 15 binary digits, as in OpenCV's cvtColor
const LEAST_PART = 1e-3; // of a pixel, that INTER_AREA takes into account

export function image(width, height, channels = 1, data = new Uint8Array(width * height * channels)) {
  return { width, height, channels, data };
}

// From a canvas: R, G, B, A.
export function fromRgba({ width, height, data }) {
  const out = image(width, height, 3);
  for (let i = 0, j = 0; i < data.length; i += 4, j += 3) {
    out.data[j] = data[i + 2];
    out.data[j + 1] = data[i + 1];
    out.data[j + 2] = data[i];
  }
  return out;
}

export function toGrey(source) {
  if (source.channels === 1) return source;
  const out = image(source.width, source.height);
  const [b, g, r] = FIXED_GREY;
  const { data } = source;
  for (let i = 0, j = 0; i < out.data.length; i++, j += 3) {
    out.data[i] = (data[j] * b + data[j + 1] * g + data[j + 2] * r + (1 << 14)) >> 15;
  }
  return out;
}

export function crop(source, left, top, width, height) {
  const out = image(width, height, source.channels);
  const row = width * source.channels;
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * source.width + left) * source.channels;
    out.data.set(source.data.subarray(start, start + row), y * row);
  }
  return out;
}

// Half the size after a 5x5 Gaussian; the image is mirrored at its border, whose pixels are not repeated.
export function pyrDown(source) {
  const { width, height, channels, data } = source;
  const out = image((width + 1) >> 1, (height + 1) >> 1, channels);
  const columns = Array.from({ length: out.width }, (_, x) => around(2 * x, width).map((i) => i * channels));
  const sums = new Int32Array(height * out.width * channels); // of rows, times 16
  for (let y = 0, k = 0; y < height; y++) {
    const row = y * width * channels;
    for (const [a, b, c, d, e] of columns) {
      for (let n = 0; n < channels; n++, k++) {
        const i = row + n;
        sums[k] = data[i + a] + data[i + e] + 4 * (data[i + b] + data[i + d]) + 6 * data[i + c];
      }
    }
  }
  const stride = out.width * channels;
  for (let y = 0, k = 0; y < out.height; y++) {
    const [a, b, c, d, e] = around(2 * y, height).map((i) => i * stride);
    for (let x = 0; x < stride; x++, k++) {
      const sum = sums[x + a] + sums[x + e] + 4 * (sums[x + b] + sums[x + d]) + 6 * sums[x + c];
      out.data[k] = (sum + 128) >> 8;
    }
  }
  return out;
}

function around(middle, length) {
  return [-2, -1, 0, 1, 2].map((offset) => {
    if (length === 1) return 0;
    const place = Math.abs(middle + offset);
    return place < length ? place : 2 * (length - 1) - place;
  });
}

// cv2.getRectSubPix of a grey image: a square about (x, y), in px counted from pixel centres, its edge replicated.
export function rectSubPix(source, side, x, y) {
  const { width, height, data } = source;
  const [left, top] = [x - (side - 1) / 2, y - (side - 1) / 2];
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const [a, b] = [left - x0, top - y0];
  const weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b].map((w) => roundHalfEven(w * 65536));
  const columns = Int32Array.from({ length: side + 1 }, (_, i) => clamp(x0 + i, 0, width - 1));
  const out = image(side, side);
  for (let j = 0, k = 0; j < side; j++) {
    const upper = clamp(y0 + j, 0, height - 1) * width;
    const lower = clamp(y0 + j + 1, 0, height - 1) * width;
    for (let i = 0; i < side; i++, k++) {
      const [p, q] = [columns[i], columns[i + 1]];
      const sum =
        data[upper + p] * weights[0] +
        data[upper + q] * weights[1] +
        data[lower + p] * weights[2] +
        data[lower + q] * weights[3];
      out.data[k] = (sum + 32768) >> 16;
    }
  }
  return out;
}

// cv2.resize of a grey image with INTER_AREA.
export function resizeArea(source, width, height) {
  const [scaleX, scaleY] = [source.width / width, source.height / height];
  if (scaleX === 1 && scaleY === 1) return source;
  if (scaleX === 2 && scaleY === 2) return halve(source);
  return scaleX >= 1 && scaleY >= 1 ? shrink(source, width, height) : enlarge(source, width, height);
}

function shrink(source, width, height) {
  const [across, down] = [shares(source.width, width), shares(source.height, height)];
  const out = image(width, height);
  const sums = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const [row, part] of down[y]) {
      const start = row * source.width;
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (const [column, share] of across[x]) sum += source.data[start + column] * share;
        sums[x] += sum * part;
      }
    }
    for (let x = 0; x < width; x++) out.data[y * width + x] = roundHalfEven(sums[x]);
  }
  return out;
}

// OpenCV adds four pixels as integers, and rounds halves up.
function halve(source) {
  const out = image(source.width / 2, source.height / 2);
  for (let y = 0, k = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++, k++) {
      const i = 2 * y * source.width + 2 * x;
      const [a, b] = [source.data[i] + source.data[i + 1], i + source.width];
      out.data[k] = (a + source.data[b] + source.data[b + 1] + 2) >> 2;
    }
  }
  return out;
}

// For each output pixel, the input pixels below it and their shares.
function shares(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [i * scale, (i + 1) * scale];
    const cell = Math.min(scale, from - start);
    let [first, last] = [Math.ceil(start), Math.min(Math.floor(end), from - 1)];
    first = Math.min(first, last);
    const list = [];
    if (first - start > LEAST_PART) list.push([first - 1, Math.fround((first - start) / cell)]);
    for (let k = first; k < last; k++) list.push([k, Math.fround(1 / cell)]);
    if (end - last > LEAST_PART) list.push([last, Math.fround(Math.min(end - last, 1, cell) / cell)]);
    return list;
  });
}

// Linear interpolation in 11 binary digits, with the weights that INTER_AREA has where it enlarges.
function enlarge(source, width, height) {
  const [across, down] = [neighbours(source.width, width), neighbours(source.height, height)];
  const out = image(width, height);
  const row = (y) => across.map(([i, j, u, v]) => source.data[y * source.width + i] * u + source.data[y * source.width + j] * v);
  const rows = new Map();
  const get = (y) => rows.get(y) ?? rows.set(y, row(y)).get(y);
  down.forEach(([i, j, u, v], y) => {
    const [upper, lower] = [get(i), get(j)];
    for (let x = 0; x < width; x++) {
      out.data[y * width + x] = (((u * (upper[x] >> 4)) >> 16) + ((v * (lower[x] >> 4)) >> 16) + 2) >> 2;
    }
  });
  return out;
}

function neighbours(from, to) {
  const [scale, inverse] = [from / to, to / from];
  return Array.from({ length: to }, (_, i) => {
    let first = Math.floor(i * scale);
    let part = Math.fround(i + 1 - (first + 1) * inverse);
    part = part <= 0 ? 0 : part - Math.floor(part);
    if (first >= from - 1) [first, part] = [from - 1, 0];
    const [u, v] = [roundHalfEven((1 - part) * 2048), roundHalfEven(part * 2048)];
    return [first, Math.min(first + 1, from - 1), u, v];
  });
}

export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
