// Adaptive masks (adaptive_masks.c): row by row, the log-odds of an entry are a weighted sum that learns from
// each row.
const IMAGE_WEIGHTS = [32768, 19661, 13107];
const MOST_WEIGHT = 16 * 65536;

// one Newton step: weight + step / 16 * slope / curvature, rounded down; `curvature` and `bend` are exact
function newton(state, k, slope, bend, step) {
  state.curvature[k] += BigInt(bend);
  const over = (BigInt(slope) * BigInt(step)) << 12n;
  const below = state.curvature[k];
  let q = over / below;
  if (over % below < 0n) q--;
  const moved = Number(q) + state.weight[k];
  state.weight[k] = Math.min(Math.max(moved, -MOST_WEIGHT), MOST_WEIGHT);
}

// what the model knows; `width`: of a line, if a row is an image; else 0
class MaskModel {
  constructor(rows, columns, width, density) {
    Object.assign(this, { rows, columns, width, kept: 0, t: 0 });
    this.windows = width ? 3 : 1; // squares of 1, 3 and 5 columns are counted in an image, 1 if not
    this.prior = squash(24 * density - LIMIT);
    const weights = width ? IMAGE_WEIGHTS : [52429];
    this.main = { weight: [...weights, 32768, 0], curvature: Array(5).fill(30n << 32n) };
    this.setUpNears();
    const numbers = () => new Int32Array(columns);
    this.cells = weights.map((_, k) => numbers().map((_, j) => this.window(j, k).length));
    this.count = weights.map(numbers);
    this.x = weights.map(numbers);
    for (const name of ["start", "expected", "near", "error", "spread", "bit"]) this[name] = numbers();
  }

  // neighbours that come later: to the right, then three lines of seven
  setUpNears() {
    this.nears = Array.from({ length: 24 }, (_, k) => [Math.floor((k + 4) / 7), ((k + 4) % 7) - 3]);
    const first = this.nears.map(([y, x]) => ({ 1: 78643, 2: 39322 })[x * x + y * y] ?? 16384);
    this.later = { weight: first, curvature: Array(24).fill(30n << 16n) };
  }

  // the column at an offset; -1 outside of the image
  column(j, y, x) {
    const width = this.width || this.columns;
    const left = x + (j % width);
    const top = y + Math.floor(j / width);
    const at = top * width + left;
    return left < 0 || left >= width || top < 0 || at >= this.columns ? -1 : at;
  }

  window(j, k) {
    const found = [];
    for (let y = -k; y <= k; y++) for (let x = -k; x <= k; x++) found.push(this.column(j, y, x));
    return found.filter((at) => at >= 0);
  }

  // log-odds of the next row, without what the row tells
  predict() {
    const { weight } = this.main;
    const cells = this.t * this.columns - this.kept;
    const base = ln(this.kept * 65536 + 30 * this.prior) - ln(cells * 65536 + 30 * (65536 - this.prior));
    const share = Array.from({ length: 26 }, (_, n) => ln(Math.floor((n * 16 * this.kept) / this.columns) + 13));
    let before = 0;
    for (let j = 0; j < this.columns; j++) {
      let sum = weight[this.windows + 1] * 256;
      for (let k = 0; k < this.windows; k++) {
        this.x[k][j] = ln(this.count[k][j] * 16 + 13) - share[this.cells[k][j]];
        sum += weight[k] * this.x[k][j];
      }
      const odds = base + Math.floor(sum / 65536);
      this.expected[j] = ln(Math.floor(before / 4096) + 32);
      before += squash(odds);
      this.start[j] = odds - Math.floor((weight[this.windows] * this.expected[j]) / 65536);
      this.near[j] = 0;
    }
  }

  // a kept entry counts in the windows around it, and makes its later neighbours likelier
  countKept(j) {
    for (let k = 0; k < this.windows; k++) for (const at of this.window(j, k)) this.count[k][at]++;
    for (let k = 0; this.width && k < 24; k++) {
      const at = this.column(j, ...this.nears[k]);
      if (at >= 0) this.near[at] += Math.floor(this.later.weight[k] / 256);
    }
  }

  learnNear() {
    this.nears.forEach(([y, x], k) => {
      let slope = 0;
      let bend = 0;
      for (let j = 0; j < this.columns; j++) {
        const at = this.bit[j] ? this.column(j, y, x) : -1;
        if (at < 0) continue;
        slope += this.error[at];
        bend += this.spread[at];
      }
      newton(this.later, k, slope, bend, 6);
    });
  }

  // the bits of the next row, and what they teach
  row(coder) {
    const features = this.windows + 2;
    const slope = new Float64Array(features);
    const bend = new Float64Array(features);
    const x = new Float64Array(features);
    let hits = 0;
    this.predict();
    for (let j = 0; j < this.columns; j++) {
      const lnHits = ln(16 * hits + 32);
      const odds = this.start[j] + Math.floor((this.main.weight[this.windows] * lnHits) / 65536);
      const p = squash(odds + this.near[j]);
      this.bit[j] = coder.bit(p);
      this.error[j] = this.bit[j] * 65536 - p;
      this.spread[j] = Math.floor((p * (65536 - p)) / 65536);
      for (let k = 0; k < this.windows; k++) x[k] = this.x[k][j];
      x[this.windows] = lnHits - this.expected[j];
      x[this.windows + 1] = 256;
      for (let k = 0; k < features; k++) {
        slope[k] += x[k] * this.error[j];
        bend[k] += x[k] * x[k] * this.spread[j];
      }
      if (this.bit[j]) {
        this.countKept(j);
        hits++;
      }
    }
    for (let k = 0; k < features; k++) newton(this.main, k, slope[k] * 256, bend[k], 16);
    if (this.width) this.learnNear();
    this.kept += hits;
    this.t++;
  }
}

// the length of a line that an option stands for; -1 if there is none
function lineOf(shape, option) {
  const columns = columnsOf(shape);
  const found = [0];
  if (shape.length === 2)
    for (const channels of [1, 3]) {
      const root = Math.floor(Math.sqrt(columns / channels));
      if (root >= 8 && root * root * channels === columns) found.push(root);
    }
  if (shape.length > 2) {
    const line = shape[shape.length - 1];
    const filter = shape.length === 4 ? shape[2] * line : line;
    if (line > 1 && line < columns) found.push(line);
    if (filter !== line && filter > 1 && filter < columns) found.push(filter);
  }
  return found[option >> 4] ?? -1;
}

function readAdaptive(reader, shape, option, mask) {
  let rows = rowsOf(shape);
  let columns = columnsOf(shape);
  const turned = option & 8;
  const line = turned ? 0 : lineOf(shape, option);
  need(mask.length <= 524288, "a mask that is too large for its code");
  need(turned ? option === 8 && shape.length > 1 && columns <= 4096 : line >= 0 && rows <= 4096, "an option");
  if (shape.length === 1) {
    columns = Math.floor(Math.sqrt(columns - 1)) + 1;
    rows = Math.ceil(shape[0] / columns);
  }
  const density = reader.byte();
  const model = new MaskModel(turned ? columns : rows, turned ? rows : columns, line, density);
  const coder = new RangeCoder(reader.rest());
  for (let i = 0; i < model.rows; i++) {
    model.row(coder);
    for (let j = 0; j < model.columns; j++) {
      if (!model.bit[j]) continue;
      const at = turned ? j * columns + i : i * columns + j;
      need(at < mask.length, "a place outside of the tensor");
      mask[at] = 1;
    }
  }
  coder.close();
}
