// Masks: which entries are kept, a byte each (masks.c). A shape is the sizes of one to four axes.

function rowsOf(shape) {
  return shape.length === 1 ? 1 : shape[0];
}

function sizeOf(shape) {
  return shape.reduce((a, b) => a * b, 1);
}

function columnsOf(shape) {
  return shape.length === 1 ? shape[0] : sizeOf(shape.slice(1));
}

// gaps by Golomb-Rice: g in g >> k zeros, a one and k bits
function readRuns(reader, mask) {
  const count = reader.varint(mask.length);
  const k = reader.byte(16);
  const low = reader.take(Math.ceil((count * k) / 8));
  checkPacked(low, count, k);
  const data = reader.rest();
  let place = 0;
  let gap = 0;
  let last = 0;
  let i = 0;
  for (let at = 0; at < 8 * data.length; at++) {
    if (!bitsAt(data, at, 1)) {
      gap++;
      continue;
    }
    need(i < count, "more places than it says");
    place += gap * 2 ** k + bitsAt(low, i * k, k);
    need(place < mask.length, "a place outside of the tensor");
    mask[place++] = 1;
    gap = 0;
    last = at;
    i++;
  }
  need(count > 0 && i === count && 8 * data.length - last <= 8, "fewer places than it says");
}

// a density for each row (or column), then each bit under its own
function readDensities(reader, rows, columns, turned, mask) {
  const m = turned ? columns : rows;
  const n = turned ? rows : columns;
  const classes = new Uint8Array(m);
  ransSymbols(reader.part(), m, 32, classes);
  const some = classes.filter((c) => c > 0).length;
  if (some === 0) return reader.end();
  const coder = new Rans(reader, some * n, 16);
  for (let i = 0; i < m; i++) {
    if (classes[i] === 0) continue;
    const p = squash(128 * (classes[i] - 1) - 2048);
    for (let j = 0; j < n; j++) mask[turned ? j * columns + i : i * columns + j] = coder.bit(p);
  }
  return coder.close();
}

// crossed masks: log-odds of an entry are its row's plus its column's; equal ones are coded together
const TOP = 43;

// how many of 65536 slots each of 16 symbols (four bits) gets, by BigInt counts; a share below one is one
function levelShares(count) {
  const fixed = count.map(() => false);
  let room = 65536n;
  let weight = 0n;
  for (let changed = true; changed; ) {
    weight = count.reduce((sum, c, s) => (fixed[s] ? sum : sum + c), 0n);
    const few = count.map((c, s) => !fixed[s] && c * room < weight);
    few.forEach((is, s) => {
      fixed[s] ||= is;
      room -= is ? 1n : 0n;
    });
    changed = few.includes(true);
  }
  const share = count.map((c, s) => (fixed[s] ? 1 : Number((c * room) / weight)));
  const rest = count.map((c, s) => (fixed[s] ? 0 : Number((c * room) % weight) + 1));
  for (let left = 65536 - share.reduce((a, b) => a + b); left > 0; left--) { // to the largest remainders
    const best = rest.indexOf(Math.max(...rest));
    share[best]++;
    rest[best] = 0;
  }
  return share;
}

// where the slots of each symbol begin, at log-odds of `level` steps
function levelTable(level) {
  const q = BigInt(squash(64 * level));
  const count = [];
  for (let s = 0; s < 16; s++) {
    let product = 1n;
    for (let bit = 0; bit < 4; bit++) product *= (s >> bit) & 1 ? q : 65536n - q;
    count.push((product >> 20n) | 1n);
  }
  const begin = [0];
  for (const share of levelShares(count)) begin.push(begin[begin.length - 1] + share);
  return begin;
}

function readCrossed(reader, rows, columns, mask) {
  const row = readSymbols(reader.part(), rows, 64);
  const column = readSymbols(reader.part(), columns, 64);
  const levels = new Uint8Array(rows * columns);
  const places = new Uint32Array(2 * TOP + 1);
  for (let i = 0, at = 0; i < rows; i++)
    for (let j = 0; j < columns; j++, at++) {
      levels[at] = Math.min(Math.max(row[i] + column[j] - 64, -TOP), TOP) + TOP;
      places[levels[at]]++;
    }
  const coder = new Rans(reader, places.reduce((sum, n) => sum + Math.ceil(n / 4), 0), 16);
  places.forEach((n, level) => {
    if (n) readLevel(coder, level, levels, mask);
  });
  coder.close();
}

// all entries of one level, in groups of four bits
function readLevel(coder, level, levels, mask) {
  const begin = levelTable(level - TOP);
  let held = 0;
  let s = 0;
  for (let at = levels.indexOf(level); at >= 0; at = levels.indexOf(level, at + 1)) {
    if (!held) {
      const slot = coder.slot();
      s = owner(begin, 16, slot);
      coder.next(begin[s + 1] - begin[s], slot - begin[s]);
      held = 4;
    }
    mask[at] = (s >> --held) & 1;
  }
  need((s & ((1 << held) - 1)) === 0, "bits after the end");
}

// the mask of a tensor, in any of the six codes
function readMask(reader, shape) {
  const [PLAIN, CONSTANT, RUNS, DENSITIES, ADAPTIVE, CROSSED] = [0, 1, 2, 3, 4, 5];
  const rows = rowsOf(shape);
  const columns = columnsOf(shape);
  const mask = new Uint8Array(rows * columns);
  const first = reader.byte();
  const method = first & 7;
  const option = first & ~7;
  if (method === ADAPTIVE) {
    readAdaptive(reader, shape, option, mask);
    return mask;
  }
  need(method <= CROSSED && (option & ~8) === 0, "an unknown code of a mask");
  need(option === 0 || method === CONSTANT || method === DENSITIES, "an unknown option of a mask");
  if (method === CONSTANT) {
    mask.fill(option ? 1 : 0);
    reader.end();
  } else if (method === PLAIN) {
    const data = reader.rest();
    checkPacked(data, mask.length, 1);
    for (let i = 0; i < mask.length; i++) mask[i] = bitsAt(data, i, 1);
  } else if (method === RUNS) {
    readRuns(reader, mask);
  } else if (method === DENSITIES) {
    readDensities(reader, rows, columns, option > 0, mask);
  } else {
    readCrossed(reader, rows, columns, mask);
  }
  return mask;
}
