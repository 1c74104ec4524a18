// part: numbers: raw, in byte planes, or each distinct one once and an index
typedef struct { bytes raw; symbols plane[4], index; int kind; } numbers;
enum { RAW, PLANES, TABLE };

static int read_numbers(bytes data, uint32_t n, numbers *out)
{
    uint32_t kind, size;
    bytes part;
    out->kind = RAW;
    if (n == 0)
        return at_end(&data);
    TRY(take_byte(&data, TABLE, &kind));
    out->kind = (int)kind;
    if (kind == PLANES) {
        bytes parts[4];
        for (int k = 0; k < 4; k++)
            TRY(take_part(&data, &parts[k]));
        for (int k = 0; k < 4; k++)
            TRY(read_symbols(parts[k], n, 256, &out->plane[k]));
        return at_end(&data);
    }
    size = n;
    if (kind == TABLE)
        TRY(take_varint(&data, n < 65536 ? n : 65536, &size));
    TRY(take(&data, 4 * (uint64_t)size, &out->raw));
    if (kind == RAW)
        return at_end(&data);
    TRY(take(&data, data.left, &part));
    return size ? read_symbols(part, n, size, &out->index) : CORRUPT;
}

static float number(const numbers *x, uint32_t i)
{
    uint32_t pattern = 0;
    float value;
    if (x->kind == TABLE)
        i = symbol(&x->index, i);
    for (int k = 3; k >= 0; k--)
        pattern = pattern << 8
                  | (x->kind == PLANES ? symbol(&x->plane[k], i) : x->raw.at[4 * (size_t)i + (size_t)k]);
    memcpy(&value, &pattern, sizeof value);
    return value;
}

// part: tensors: a mask perhaps, and numbers or a codebook of numbers for what is kept
typedef struct { uint32_t size; uint8_t *mask; numbers values; symbols index; int book; } tensor;

static int read_tensor(bytes data, const shape *s, tensor *t)
{
    enum { PLAIN, SPARSE, CODEBOOK, NAMED };
    uint32_t tag, n, k;
    bytes part;
    n = t->size = rows_of(s) * columns_of(s);
    t->mask = NULL;
    TRY(take_byte(&data, NAMED, &tag));
    if (tag == SPARSE) {
        TRY(take_part(&data, &part));
        TRY(take_memory(&t->mask, ((uint64_t)n + 7) / 8));
        uint32_t before = used;
        TRY(read_mask(part, s, t->mask));
        used = before;
        n = 0;
        for (uint32_t i = 0; i < t->size; i++)
            n += (uint32_t)kept(t->mask, i);
        TRY(take_byte(&data, NAMED, &tag));
    }
    t->book = tag == CODEBOOK;
    if (tag == PLAIN)
        return read_numbers(data, n, &t->values);
    if (tag != CODEBOOK)
        return tag == NAMED ? UNKNOWN : CORRUPT;
    TRY(take_varint(&data, 65536, &k));
    TRY(take_part(&data, &part));
    TRY(read_numbers(part, k, &t->values));
    if (k == 0)
        return n ? CORRUPT : OK;
    return read_symbols(data, n, k, &t->index);
}

// the next number of a tensor; `at` and `j` are the entry and how many were kept before it
static float next_number(const tensor *t, uint32_t *at, uint32_t *j)
{
    if (t->mask && !kept(t->mask, (*at)++))
        return 0.0f;
    uint32_t i = (*j)++;
    return number(&t->values, t->book ? symbol(&t->index, i) : i);
}

// part: the file: its checksum (BLAKE2b of eight bytes, RFC 7693), and where each tensor lies
static uint64_t rotated(uint64_t v, int n)
{
    return v >> n | v << (64 - n);
}

static void mix(uint64_t *v, int a, int b, int c, int d, uint64_t x, uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotated(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotated(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotated(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotated(v[b] ^ v[c], 63);
}

static const uint64_t HASH_START[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

// a block of 128 bytes, or the last one of fewer; `done`: bytes up to its end
static void hash_block(uint64_t *h, const uint8_t *data, uint32_t n, uint64_t done, int last)
{
    static const char order[10][17] = {
        "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
        "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
    };
    uint64_t v[16], word[16] = { 0 };
    for (uint32_t i = 0; i < n; i++)
        word[i / 8] |= (uint64_t)data[i] << 8 * (i % 8);
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = HASH_START[i];
    }
    v[12] ^= done;
    v[14] = last ? ~v[14] : v[14];
    for (int round = 0; round < 12; round++) {
        uint64_t m[16];
        for (int i = 0; i < 16; i++) {
            int digit = order[round % 10][i];
            m[i] = word[digit < 'a' ? digit - '0' : digit - 'a' + 10];
        }
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    }
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

static uint64_t checksum(const uint8_t *data, uint32_t n)
{
    uint64_t h[8];
    uint32_t done = 0;
    memcpy(h, HASH_START, sizeof h);
    h[0] ^= 0x01010000 ^ 8;
    for (; n - done > 128; done += 128)
        hash_block(h, data + done, 128, done + 128, 0);
    hash_block(h, data + done, n - done, n, 1);
    return h[0];
}

static uint64_t little(const uint8_t *data, int n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | data[n];
    return v;
}

// `file` becomes the part with the tensors. Its header isn't read: the network is compiled in, and the digest
// of names, shapes and dtypes tells whether the file holds this one
static int open_file(bytes *file)
{
    bytes part, rest;
    if (file->left < 8)
        return CORRUPT;
    uint64_t header = little(file->at, 8), check;
    if (header < 2 || header > 65536 || header + 16 > file->left)
        return CORRUPT;
    check = little(file->at + file->left - 8, 8);
    if (checksum(file->at, file->left - 8) != check)
        return CORRUPT;
    TRY(take(file, 8 + header, &part));
    file->left -= 8;
    TRY(take(file, 4, &part));
    if (memcmp(part.at, NETWORK_DIGEST, 4) != 0)
        return CORRUPT;
    rest = *file;
    for (int i = 0; i < NETWORK_TENSORS; i++)
        TRY(take_part(&rest, &part));
    return at_end(&rest);
}

static int tensor_bytes(const bytes *file, uint32_t place, bytes *part)
{
    bytes rest = *file;
    for (uint32_t i = 0; i <= place; i++)
        TRY(take_part(&rest, part));
    return OK;
}

// decode tensor number `place`, or the one before it that it is told to equal
static int open_tensor(const bytes *file, uint32_t place, tensor *t)
{
    bytes part;
    uint32_t equal;
    TRY(tensor_bytes(file, place, &part));
    if (place && part.left && part.at[0] == 4) {
        part.at++;
        part.left--;
        TRY(take_varint(&part, place - 1, &equal));
        TRY(at_end(&part));
        TRY(tensor_bytes(file, equal, &part));
    }
    return read_tensor(part, &NETWORK_SHAPES[place], t);
}

