"use strict";
// Bytes, bits and probabilities: the JavaScript of bits.c. What isn't as a writer writes it throws a
// CorruptFile; every number stays below 2**53 and is exact, or is a BigInt.

class CorruptFile extends Error {}

function need(condition, what) {
  if (!condition) throw new CorruptFile(`the file is damaged: ${what}`);
}

// bytes that are taken from the front
class Reader {
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  left() {
    return this.data.length - this.at;
  }

  take(n) {
    need(n <= this.left(), "it ends too early");
    this.at += n;
    return this.data.subarray(this.at - n, this.at);
  }

  byte(high = 255) {
    const value = this.take(1)[0];
    need(value <= high, "an unknown code");
    return value;
  }

  // seven bits a byte, lowest first, top bit = more follow; at most `high`
  varint(high) {
    let sum = 0;
    for (let scale = 1, i = 0; i < 9; i++, scale *= 128) {
      const b = this.byte();
      sum += (b & 127) * scale;
      if (b < 128) {
        need((b > 0 || i === 0) && sum <= high, "a number that is too large");
        return sum;
      }
    }
    throw new CorruptFile("the file is damaged: a number without an end");
  }

  // a part with its length before it
  part() {
    return new Reader(this.take(this.varint(this.left())));
  }

  rest() {
    return this.take(this.left());
  }

  end() {
    need(this.left() === 0, "bytes that nobody asked for");
  }
}

// `width` bits, up to 17, from bit `at` on, the highest first; zeros after the end
function bitsAt(data, at, width) {
  const first = Math.floor(at / 8);
  const word = ((data[first] ?? 0) << 16) | ((data[first + 1] ?? 0) << 8) | (data[first + 2] ?? 0);
  return (word >>> (24 - width - (at % 8))) & ((1 << width) - 1);
}

// n numbers of `width` bits must fill these bytes, the last one up with zeros
function checkPacked(data, n, width) {
  need(data.length === Math.ceil((n * width) / 8), "packed numbers of another length");
  need(bitsAt(data, n * width, 8 * data.length - n * width) === 0, "bits after the end");
}

function bitLength(v) {
  return v < 4294967296 ? 32 - Math.clz32(v) : 64 - Math.clz32(Math.floor(v / 4294967296));
}

function symbolArray(n, alphabet) {
  return alphabet > 256 ? new Uint16Array(n) : new Uint8Array(n);
}

// an interval of the numbers below 2**32, cut in the ratio of the two probabilities
class RangeCoder {
  constructor(data) {
    this.data = data;
    this.at = 0;
    this.value = 0;
    this.width = 4294967296;
    for (let i = 0; i < 4; i++) this.value = this.value * 256 + this.next();
  }

  next() {
    return this.at < this.data.length ? this.data[this.at++] : (this.at++, 0);
  }

  // a bit that is 1 with probability p / 2**16
  bit(p) {
    const split = Math.floor(this.width / 65536) * p;
    const bit = this.value < split ? 1 : 0;
    if (bit) {
      this.width = split;
    } else {
      this.value -= split;
      this.width -= split;
    }
    for (; this.width < 16777216; this.width *= 256) this.value = this.value * 256 + this.next();
    return bit;
  }

  close() {
    const n = this.data.length;
    need(this.at >= n && (n === 0 || this.data[n - 1] !== 0), "a stream of another length");
  }
}

// symbols of `width` bits, each bit predicted from how often it was one at its node of the tree
function adaptiveSymbols(data, n, width, out) {
  const leaves = 2 ** width;
  const ones = new Uint32Array(leaves);
  const seen = new Uint32Array(leaves);
  const coder = new RangeCoder(data);
  for (let i = 0; i < n; i++) {
    let node = 1;
    while (node < leaves) {
      const p = Math.floor(((2 * ones[node] + 1) * 65536) / (2 * seen[node] + 2));
      const bit = coder.bit(Math.min(Math.max(p, 16), 65520));
      seen[node]++;
      ones[node] += bit;
      node = 2 * node + bit;
    }
    out[i] = node - leaves;
  }
  coder.close();
}

// logarithms and probabilities in whole numbers; tables made once, natural logarithms times 256
const LIMIT = 3072;
const LN = new Int16Array(4097); // 256 ln k
const SQUASH = new Uint16Array(LIMIT + 1); // 2**16 / (1 + exp(-t / 256))

function makeTables() {
  const shift = 44n;
  const one = 1n << shift;
  let total = 0n;
  for (let k = 1n; k < 4096n; k++) { // ln(k + 1) - ln k = 2 artanh(1 / (2 k + 1))
    const y = 2n * k + 1n;
    let term = 1n;
    for (let p = one / y; p; p /= y * y, term += 2n) total += (2n * p) / term;
    LN[Number(k) + 1] = Number((total * 256n + one / 2n) >> shift);
  }
  const step = one + one / 256n + one / 131072n + one / (6n << 24n) + one / (24n << 32n); // exp(1 / 256)
  for (let t = 0, power = one; t <= LIMIT; t++, power = (power * step) >> shift) {
    const sum = one + power;
    const over = (one << 16n) - sum / 2n;
    const p = 65536n - (over > 0n ? (over + sum - 1n) / sum : 0n);
    SQUASH[t] = Number(p > 65535n ? 65535n : p);
  }
}
makeTables();

function ln(v) {
  const shift = v > 4096 ? bitLength(v) - 12 : 0;
  return LN[Math.floor(v / 2 ** shift)] + ((shift * 45426) >> 8);
}

function squash(t) {
  if (t >= 0) return SQUASH[Math.min(t, LIMIT - 1)];
  return 65536 - SQUASH[Math.min(-t, LIMIT)];
}
