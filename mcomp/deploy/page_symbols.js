// Streams of symbols: rANS (rans.c) and Huffman (huffman.c).

// rANS: states in lanes, which share one stream of 16-bit words; a state is below 2**48
class Rans {
  constructor(reader, n, precision) {
    this.base = 2 ** (precision <= 12 ? 16 : 32);
    this.slots = 2 ** precision;
    this.lane = 0;
    const lanes = reader.varint(n);
    need(lanes >= Math.max(1, Math.floor(n / 65536)), "too few states");
    const size = precision <= 12 ? 4 : 6;
    const states = reader.take(lanes * size);
    this.state = new Float64Array(lanes);
    for (let i = 0; i < lanes; i++) {
      for (let k = size - 1; k >= 0; k--) this.state[i] = this.state[i] * 256 + states[i * size + k];
      need(this.state[i] >= this.base, "a state that is too small");
    }
    this.words = new Reader(reader.rest());
    need(this.words.left() % 2 === 0, "half a word");
  }

  slot() {
    return this.state[this.lane] % this.slots;
  }

  // the symbol that owns `f` slots comes off; `inside` is the place of the slot among them
  next(f, inside) {
    let x = Math.floor(this.state[this.lane] / this.slots) * f + inside;
    if (x < this.base) {
      const word = this.words.take(2);
      x = x * 65536 + word[0] + 256 * word[1];
    }
    this.state[this.lane] = x;
    this.lane = (this.lane + 1) % this.state.length;
  }

  // a bit that is 1 with probability p / 2**16
  bit(p) {
    const slot = this.slot();
    const zeros = 65536 - p;
    const bit = slot >= zeros ? 1 : 0;
    this.next(bit ? p : zeros, bit ? slot - zeros : slot);
    return bit;
  }

  close() {
    need(this.state.every((x) => x === this.base), "states that don't end where they began");
    this.words.end();
  }
}

// where the slots of each symbol begin, and their total: those of the left half first, then of its halves
function readTable(reader, alphabet, total) {
  const data = reader.data.subarray(reader.at);
  const begin = new Uint32Array(alphabet + 1);
  let at = 0;
  begin[alphabet] = total;
  const halves = (a, b) => {
    if (b - a < 2) return;
    const m = (a + b) >>> 1;
    const size = begin[b] - begin[a] + 1;
    let value = 0;
    if (size > 1) {
      let k = bitLength(size) - 1;
      const few = 2 ** (k + 1) - size; // so many values have k bits, the others k + 1
      value = bitsAt(data, at, k);
      if (value >= few) value = bitsAt(data, at, ++k) - few;
      at += k;
      need(at <= 8 * data.length, "a table without an end");
    }
    begin[m] = begin[a] + value;
    halves(a, m);
    halves(m, b);
  };
  halves(0, alphabet);
  reader.take(Math.ceil(at / 8));
  return begin;
}

// the symbol whose slots hold this one
function owner(begin, alphabet, slot) {
  let low = 0;
  let high = alphabet; // begin[low] <= slot < begin[high]
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (begin[middle] <= slot) low = middle;
    else high = middle;
  }
  return low;
}

function ransSymbols(reader, n, alphabet, out) {
  if (n === 0) return reader.end();
  const precision = reader.byte(16);
  const begin = readTable(reader, alphabet, 2 ** precision);
  if (precision === 0) {
    out.fill(owner(begin, alphabet, 0));
    return reader.end();
  }
  const coder = new Rans(reader, n, precision);
  for (let i = 0; i < n; i++) {
    const slot = coder.slot();
    const s = owner(begin, alphabet, slot);
    out[i] = s;
    coder.next(begin[s + 1] - begin[s], slot - begin[s]);
  }
  return coder.close();
}

// Huffman: canonical words of at most 16 bits, the shorter first, then the lower symbol
function huffmanLengths(reader, alphabet) {
  const width = reader.byte(5);
  const lengths = new Uint8Array(alphabet);
  if (width === 0) {
    const part = reader.take(4);
    const size = part[0] + part[1] * 256 + part[2] * 65536 + part[3] * 16777216;
    ransSymbols(new Reader(reader.take(size)), alphabet, 17, lengths);
    return lengths;
  }
  const part = reader.take(Math.ceil((alphabet * width) / 8));
  checkPacked(part, alphabet, width);
  for (let i = 0; i < alphabet; i++) {
    lengths[i] = bitsAt(part, i * width, width);
    need(lengths[i] <= 16, "a word that is too long");
  }
  return lengths;
}

// how many words of each length, where they start, the symbols in order; refuses what no optimal code has
function huffmanTree(lengths) {
  const count = new Uint32Array(17);
  const start = new Uint32Array(17);
  let room = 0;
  let present = 0;
  for (const length of lengths) count[length]++;
  for (let length = 1; length <= 16; length++) {
    start[length] = present;
    present += count[length];
    room += count[length] * 2 ** (16 - length);
    need(room <= 65536, "too many words");
  }
  need(room === 65536 || (present === 1 && count[1] === 1), "words that are missing");
  const order = new Uint32Array(present);
  const next = start.slice();
  lengths.forEach((length, i) => {
    if (length) order[next[length]++] = i;
  });
  return { count, start, order };
}

// the symbol at bit `at`, and how many bits it takes
function huffmanSymbol(tree, data, at) {
  const word = bitsAt(data, at, 16);
  let first = 0; // 16 bits at which the words of a length begin
  for (let length = 1; length <= 16; length++) {
    const i = word < first ? 65536 : (word - first) >>> (16 - length);
    if (i < tree.count[length]) return [tree.order[tree.start[length] + i], length];
    first += tree.count[length] * 2 ** (16 - length);
  }
  return [tree.order[0], 1]; // one symbol only, whose bits aren't looked at
}

function huffmanSymbols(reader, n, alphabet, out) {
  const tree = huffmanTree(huffmanLengths(reader, alphabet));
  const blocks = Math.floor((n - 1) / 4096);
  let least = 0;
  let width = 0;
  let sizes = new Uint8Array(0);
  if (blocks) {
    const low = reader.take(2);
    least = low[0] * 256 + low[1] + 1;
    width = reader.byte(16);
    sizes = reader.take(Math.ceil((blocks * width) / 8));
    checkPacked(sizes, blocks, width);
  }
  const data = reader.rest();
  let at = 0;
  let goal = 0;
  for (let i = 0; i < n; i++) {
    if (i && i % 4096 === 0) {
      goal += least + bitsAt(sizes, (i / 4096 - 1) * width, width);
      need(at === goal, "a block of another length");
    }
    need(at < 8 * data.length, "it ends too early");
    const [symbol, length] = huffmanSymbol(tree, data, at);
    out[i] = symbol;
    at += length;
  }
  need(Math.ceil(at / 8) === data.length, "a stream of another length");
}

// n symbols below `alphabet`, in any of the five codes
function readSymbols(reader, n, alphabet) {
  const [CONSTANT, BITS, HUFFMAN, RANS, ADAPTIVE] = [0, 1, 2, 3, 4];
  const out = symbolArray(n, alphabet);
  if (n === 0) {
    reader.end();
    return out;
  }
  const code = reader.byte(ADAPTIVE);
  const width = bitLength(alphabet - 1);
  if (code === CONSTANT) {
    out.fill(reader.varint(alphabet - 1));
    reader.end();
  } else if (code === RANS) {
    ransSymbols(reader, n, alphabet, out);
  } else if (code === HUFFMAN) {
    huffmanSymbols(reader, n, alphabet, out);
  } else {
    const data = reader.rest();
    need(code === BITS || n * width <= 65536, "a stream that is too long for its code");
    if (code === ADAPTIVE) adaptiveSymbols(data, n, width, out);
    else checkPacked(data, n, width);
    for (let i = 0; code === BITS && i < n; i++) out[i] = bitsAt(data, i * width, width);
    need(out.every((s) => s < alphabet), "a symbol that isn't in the alphabet");
  }
  return out;
}
