// The file: its frame and checksum, and the numbers of each tensor (tensors.c).

// numbers as they are, in byte planes, or each distinct one once and an index; as words of 32 bits, so that
// no number, and nothing that is none, loses a bit
function readNumbers(reader, n) {
  const [RAW, PLANES, TABLE] = [0, 1, 2];
  if (n === 0) {
    reader.end();
    return new Uint32Array(0);
  }
  const kind = reader.byte(TABLE);
  if (kind === PLANES) {
    const parts = [0, 1, 2, 3].map(() => reader.part());
    const planes = parts.map((part) => readSymbols(part, n, 256));
    reader.end();
    return words(n, (i, k) => planes[k][i]);
  }
  const size = kind === TABLE ? reader.varint(Math.min(n, 65536)) : n;
  const raw = reader.take(4 * size);
  const numbers = words(size, (i, k) => raw[4 * i + k]);
  if (kind === RAW) {
    reader.end();
    return numbers;
  }
  need(size > 0, "a table without numbers");
  return chosen(numbers, readSymbols(reader, n, size));
}

// words from their four bytes, the lowest first
function words(n, byteOf) {
  return Uint32Array.from({ length: n }, (_, i) => {
    return byteOf(i, 0) | (byteOf(i, 1) << 8) | (byteOf(i, 2) << 16) | (byteOf(i, 3) << 24);
  });
}

function chosen(numbers, index) {
  return Uint32Array.from(index, (s) => numbers[s]);
}

// a tensor: a mask perhaps, and numbers or a codebook of numbers for what is kept
function readTensor(reader, shape) {
  const [SPARSE, NAMED] = [1, 3];
  const size = sizeOf(shape);
  const tag = reader.byte(NAMED);
  if (tag !== SPARSE) return readValues(reader, tag, size);
  const mask = readMask(reader.part(), shape);
  const kept = mask.reduce((n, is) => n + is, 0);
  const values = readValues(reader, reader.byte(NAMED), kept);
  let j = 0;
  return Uint32Array.from(mask, (is) => (is ? values[j++] : 0));
}

function readValues(reader, tag, n) {
  const [PLAIN, CODEBOOK] = [0, 2];
  need(tag === PLAIN || tag === CODEBOOK, "a code that this page doesn't know");
  if (tag === PLAIN) return readNumbers(reader, n);
  const k = reader.varint(65536);
  const book = readNumbers(reader.part(), k);
  need(k > 0 || n === 0, "a codebook without numbers");
  return k === 0 ? book : chosen(book, readSymbols(reader, n, k));
}

// BLAKE2b (RFC 7693) without a key: numbers of 64 bits are pairs of 32 bits, the low one first
const HASH_START = new Uint32Array([
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);
const HASH_ORDER = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
].map((row) => Array.from(row, (digit) => 2 * parseInt(digit, 16)));

// v[a] += v[b] + word w of m, if there is one
function addTo(v, a, b, m, w) {
  const low = v[a] + v[b] + (w < 0 ? 0 : m[w]);
  v[a + 1] = v[a + 1] + v[b + 1] + (w < 0 ? 0 : m[w + 1]) + Math.floor(low / 4294967296);
  v[a] = low;
}

// v[a] = (v[a] ^ v[b]) turned right by n bits
function turn(v, a, b, n) {
  const low = v[a] ^ v[b];
  const high = v[a + 1] ^ v[b + 1];
  const [x, y, s] = n < 32 ? [low, high, n] : [high, low, n - 32];
  v[a] = s ? (x >>> s) | (y << (32 - s)) : x;
  v[a + 1] = s ? (y >>> s) | (x << (32 - s)) : y;
}

function mix(v, a, b, c, d, m, x, y) {
  addTo(v, a, b, m, x);
  turn(v, d, a, 32);
  addTo(v, c, d, m, -1);
  turn(v, b, c, 24);
  addTo(v, a, b, m, y);
  turn(v, d, a, 16);
  addTo(v, c, d, m, -1);
  turn(v, b, c, 63);
}

function hashBlock(h, block, done, last) {
  const m = new Uint32Array(32);
  for (let i = 0; i < block.length; i++) m[i >> 2] |= block[i] << (8 * (i & 3));
  const v = new Uint32Array(32);
  v.set(h);
  v.set(HASH_START, 16);
  v[24] ^= done;
  if (last) for (const i of [28, 29]) v[i] = ~v[i];
  for (let round = 0; round < 12; round++) {
    const order = HASH_ORDER[round % 10];
    for (let i = 0; i < 4; i++)
      mix(v, 2 * i, 8 + 2 * i, 16 + 2 * i, 24 + 2 * i, m, order[2 * i], order[2 * i + 1]);
    for (let i = 0; i < 4; i++) {
      const [b, c, d] = [1, 2, 3].map((k) => 8 * k + 2 * ((i + k) % 4));
      mix(v, 2 * i, b, c, d, m, order[8 + 2 * i], order[9 + 2 * i]);
    }
  }
  for (let i = 0; i < 16; i++) h[i] ^= v[i] ^ v[i + 16];
}

// the first eight bytes of the sum
function checksum(data) {
  const h = HASH_START.slice();
  h[0] ^= 0x01010000 ^ 8;
  let at = 0;
  for (; data.length - at > 128; at += 128) hashBlock(h, data.subarray(at, at + 128), at + 128, false);
  hashBlock(h, data.subarray(at), data.length, true);
  return new Uint8Array(h.buffer.slice(0, 8));
}

function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

// the part with the tensors: a safetensors file with one tensor of bytes, whose last eight are the checksum
function openFrame(data) {
  need(data.length >= 24, "it ends too early");
  const length = new Reader(data.subarray(0, 8)).take(8).reduceRight((n, b) => n * 256 + b, 0);
  need(length >= 2 && length <= 65536 && length + 16 <= data.length, "a header of another length");
  const end = data.length - 8;
  need(same(checksum(data.subarray(0, end)), data.subarray(end)), "its checksum doesn't fit");
  const n = data.length - 8 - length;
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(8, 8 + length)));
  } catch {
    throw new CorruptFile("the file is damaged: its header can't be read");
  }
  const version = header?.__metadata__?.mcomp;
  need(version === "1" || version === "2", "another version of the format");
  const { dtype, shape, data_offsets: offsets } = header.mcomp ?? {};
  const claims = JSON.stringify([dtype, shape, offsets]);
  need(claims === JSON.stringify(["U8", [n], [0, n]]), "the header claims another length");
  return new Reader(data.subarray(8 + length, end));
}

// the tensors of a file, float32, in the order of `shapes`; `digest` says which network it must be of
function decodeFile(data, digest, shapes) {
  const reader = openFrame(data);
  need(same(reader.take(4), digest), "it is of another network");
  const parts = shapes.map(() => reader.part().data);
  reader.end();
  return shapes.map((shape, i) => new Float32Array(tensorAt(parts, i, shape).buffer));
}

// tensor number i, or the one before it that it is told to equal
function tensorAt(parts, i, shape) {
  const part = new Reader(parts[i]);
  if (i === 0 || parts[i][0] !== 4) return readTensor(part, shape);
  part.byte();
  const equal = part.varint(i - 1);
  part.end();
  return readTensor(new Reader(parts[equal]), shape);
}
