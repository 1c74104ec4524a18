// A network: the same steps in floats and in integers. `steps` say what is done, tensor by tensor; weights come
// from a decoded file. Floats are computed in 64 bits; the integers are those of mcomp.integer, bit for bit.

function halfToEven(v) {
  const whole = Math.floor(v);
  const rest = v - whole;
  if (rest !== 0.5) return rest < 0.5 ? whole : whole + 1;
  return whole % 2 === 0 ? whole : whole + 1;
}

function clipped(v, grid) {
  return Math.min(Math.max(v, grid.low), grid.high);
}

// acc * m0 / 2**shift to the nearest integer, half to even: by floats, unless they are too near to a tie
function requantized(acc, m0, shift, grid) {
  const v = (acc * m0) / 2 ** shift;
  const near = Math.abs(v - Math.floor(v) - 0.5);
  if (near > 1e-6 || Math.abs(v) > 1e6) return clipped(Math.round(v) + grid.zero, grid);
  const product = BigInt(acc) * BigInt(m0);
  const half = 1n << BigInt(shift - 1);
  const q = (product + half) >> BigInt(shift); // floor
  const tie = (product & (2n * half - 1n)) === half;
  return clipped(Number(q - (tie ? q & 1n : 0n)) + grid.zero, grid);
}

// a linear layer: `end` makes of each sum what comes out
function linear(x, y, w, step, zero, end) {
  const n = step.before[0];
  for (let o = 0, at = 0; o < y.length; o++) {
    let sum = 0;
    for (let i = 0; i < n; i++, at++) sum += (x[i] - zero) * w[at];
    y[o] = end(sum, o);
  }
}

// a convolution; outside of the image is zero, and adds nothing
function conv2d(x, y, w, step, zero, end) {
  const [inputs, height, width] = step.before;
  const [outputs, high, wide] = step.shape;
  const { kernel, stride, padding, groups } = step.conv;
  const channels = inputs / groups;
  const area = channels * kernel[0] * kernel[1];
  for (let o = 0, at = 0; o < outputs; o++) {
    const first = Math.floor(o / (outputs / groups)) * channels;
    for (let top = -padding, i = 0; i < high; i++, top += stride)
      for (let left = -padding, j = 0; j < wide; j++, left += stride) {
        let sum = 0;
        for (let c = 0, k = o * area; c < channels; c++)
          for (let a = top; a < top + kernel[0]; a++)
            for (let b = left; b < left + kernel[1]; b++, k++)
              if (a >= 0 && a < height && b >= 0 && b < width)
                sum += (x[((first + c) * height + a) * width + b] - zero) * w[k];
        y[at++] = end(sum, o);
      }
  }
}

function largest(x, y, step) {
  const [channels, height, width] = step.before;
  const [, high, wide] = step.shape;
  const { kernel, stride, padding } = step.pool;
  for (let c = 0, at = 0; c < channels; c++)
    for (let i = 0; i < high; i++)
      for (let j = 0; j < wide; j++) {
        let most = -Infinity;
        for (let a = Math.max(i * stride - padding, 0); a < Math.min(i * stride - padding + kernel[0], height); a++)
          for (let b = Math.max(j * stride - padding, 0); b < Math.min(j * stride - padding + kernel[1], width); b++)
            most = Math.max(most, x[(c * height + a) * width + b]);
        y[at++] = most;
      }
}

function average(x, y, step, zero, end) {
  const positions = step.before[1] * step.before[2];
  for (let c = 0; c < y.length; c++) {
    let sum = -positions * zero;
    for (let i = 0; i < positions; i++) sum += x[c * positions + i];
    y[c] = end(sum, c);
  }
}

const PRODUCTS = { linear, conv2d };

// the logits of one image in floats; `weights` are tensors by their place in the file
function runFloats(network, weights, image) {
  const tensors = { input: image };
  for (const step of network.steps) {
    const [x, other] = step.inputs.map((name) => tensors[name]);
    const y = new Float64Array(sizeOf(step.shape));
    const bias = step.bias >= 0 ? weights[step.bias] : [];
    if (step.op in PRODUCTS) PRODUCTS[step.op](x, y, weights[step.weight], step, 0, (sum, o) => sum + (bias[o] ?? 0));
    else if (step.op === "largest") largest(x, y, step);
    else if (step.op === "average") average(x, y, step, 0, (sum) => sum / (step.before[1] * step.before[2]));
    else if (step.op === "add") y.forEach((_, i) => (y[i] = x[i] + other[i]));
    else if (step.op === "rectify") y.forEach((_, i) => (y[i] = Math.max(x[i], 0)));
    else y.set(x);
    tensors[step.name] = y;
  }
  return tensors[network.steps.at(-1).name];
}

// float32 m as m0 / 2**shift with 31 bits of m0
function fixedPoint(m) {
  let exponent = Math.max(Math.floor(Math.log2(m)), -1100);
  while (2 ** exponent > m) exponent--;
  while (2 ** (exponent + 1) <= m) exponent++;
  const shift = Math.min(30 - exponent, 62);
  return { m0: halfToEven(m * 2 ** shift), shift };
}

// the integers of a layer from its float weights, as layers.c makes them: float32 where fround stands
function integerLayer(step, w, bias, largestScale) {
  const f = Math.fround;
  const outputs = step.shape[0];
  const size = w.length / outputs;
  const made = { weight: new Int8Array(w.length), bias: new Int32Array(outputs), factor: [] };
  const source = f(step.source.scale);
  for (let o = 0; o < outputs; o++) {
    const b = bias[o] ?? 0;
    let most = f(f(Math.abs(b) * 127) / f(source * 1073741824));
    for (let i = o * size; i < (o + 1) * size; i++) most = Math.max(most, Math.abs(w[i]));
    let scale = f(most / 127);
    scale = scale === 0 ? 1 : Math.min(Math.max(scale, 2 ** -126), largestScale);
    made.bias[o] = halfToEven(b / (source * scale));
    made.factor.push(fixedPoint(f(f(source * scale) / f(step.grid.scale))));
    const inverse = f(1 / scale);
    for (let i = o * size; i < (o + 1) * size; i++)
      made.weight[i] = halfToEven(Math.min(Math.max(f(w[i] * inverse), -127), 127));
  }
  return made;
}

// the integers of all layers by their names
function integerLayers(network, weights) {
  const layers = {};
  for (const step of network.steps)
    if (step.op in PRODUCTS)
      layers[step.name] = integerLayer(step, weights[step.weight], weights[step.bias] ?? [], network.largestScale);
  return layers;
}

// one image on the grid of the input
function quantized(image, grid) {
  const inverse = Math.fround(1 / Math.fround(grid.scale));
  return Int32Array.from(image, (v) => clipped(halfToEven(Math.fround(v * inverse)) + grid.zero, grid));
}

// the last tensor's integers of one image in integers
function runIntegers(network, layers, image) {
  const tensors = { input: quantized(image, network.grid) };
  for (const step of network.steps) {
    const { grid } = step;
    const [x, other] = step.inputs.map((name) => tensors[name]);
    const y = new Int32Array(sizeOf(step.shape));
    if (step.op in PRODUCTS) {
      const { weight, bias, factor } = layers[step.name];
      const end = (sum, o) => requantized(sum + bias[o], factor[o].m0, factor[o].shift, grid);
      PRODUCTS[step.op](x, y, weight, step, step.source.zero, end);
    } else if (step.op === "largest") largest(x, y, step);
    else if (step.op === "average") average(x, y, step, step.source.zero, (s) => requantized(s, step.m0, step.shift, grid));
    else if (step.op === "add") y.forEach((_, i) => (y[i] = sumOnGrid(x[i], other[i], step)));
    else if (step.op === "rectify") y.forEach((_, i) => (y[i] = Math.max(x[i], step.zero)));
    else y.set(x);
    tensors[step.name] = y;
  }
  return tensors[network.steps.at(-1).name];
}

// a + b, each on a grid of its own; below 2**53, so exact in floats
function sumOnGrid(a, b, { zeros, times, shift, grid }) {
  const sum = (a - zeros[0]) * times[0] + (b - zeros[1]) * times[1];
  return clipped(halfToEven(sum / 2 ** shift) + grid.zero, grid);
}

// the logits that the integers mean
function integerLogits(network, layers, image) {
  const { grid } = network.steps.at(-1);
  return Float64Array.from(runIntegers(network, layers, image), (q) => Math.fround((q - grid.zero) * Math.fround(grid.scale)));
}

// the tensors with the fraction `sparsity` of each layer's weights set to zero, the smallest; exactly so many go,
// and of equal ones those with the higher index
function pruned(network, weights, sparsity) {
  const cut = weights.slice();
  for (const step of network.steps)
    if (step.op in PRODUCTS) cut[step.weight] = prunedTensor(weights[step.weight], sparsity);
  return cut;
}

function prunedTensor(w, sparsity) {
  const gone = halfToEven(sparsity * w.length);
  if (gone === 0) return w;
  const size = w.map(Math.abs);
  const least = size.slice().sort()[gone - 1]; // the largest that goes, perhaps not all of its size
  let equal = size.reduce((n, v) => n + (v <= least), 0) - gone; // so many of that size stay
  return w.map((v, i) => (size[i] > least || (size[i] === least && equal-- > 0) ? v : 0));
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Float64Array.from(logits, (v) => Math.exp(v - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// everything that the page computes with, from what it holds: networks by their names, each a function of an image
function openPage(told, files) {
  const decoded = told.networks.map((network, i) => {
    const start = performance.now();
    const weights = decodeFile(files[i], network.digest, network.shapes);
    return { network, weights, ms: performance.now() - start };
  });
  const [whole, small] = [decoded[0], decoded.at(-1)];
  const layers = integerLayers(whole.network, whole.weights);
  const opened = { whole, small, layers, cut: whole.weights };
  opened.prune = (sparsity) => (opened.cut = pruned(whole.network, whole.weights, sparsity));
  opened.prune(told.sparsity);
  opened.run = {
    float: (image) => runFloats(whole.network, whole.weights, image),
    pruned: (image) => runFloats(whole.network, opened.cut, image),
    int8: (image) => integerLogits(whole.network, layers, image),
    small: (image) => runFloats(small.network, small.weights, image),
  };
  return opened;
}
