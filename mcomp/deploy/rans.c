// part: rANS: states in lanes, which share one stream of 16-bit words
typedef struct { uint64_t *state; uint32_t lanes, lane; int base, precision; bytes words; } rans;

static int rans_open(rans *r, bytes *data, uint32_t n, int precision)
{
    uint32_t fewest = n >> 16 ? n >> 16 : 1;
    bytes states;
    r->base = precision <= 12 ? 16 : 32;
    r->precision = precision;
    r->lane = 0;
    TRY(take_varint(data, n, &r->lanes));
    if (r->lanes < fewest)
        return CORRUPT;
    int size = (r->base + 16) / 8;
    TRY(take(data, (uint64_t)r->lanes * (uint32_t)size, &states));
    TRY(take_memory(&r->state, 8 * (uint64_t)r->lanes));
    for (uint32_t i = 0; i < r->lanes; i++) {
        for (int k = size - 1; k >= 0; k--)
            r->state[i] = r->state[i] << 8 | states.at[i * (uint32_t)size + (uint32_t)k];
        if (r->state[i] < (uint64_t)1 << r->base)
            return CORRUPT;
    }
    r->words = *data;
    return r->words.left % 2 ? CORRUPT : OK;
}

static uint32_t rans_slot(const rans *r)
{
    return (uint32_t)(r->state[r->lane] & (((uint64_t)1 << r->precision) - 1));
}

// the symbol that owns `f` slots comes off; `inside` is the place of the slot among them
static int rans_next(rans *r, uint32_t f, uint32_t inside)
{
    uint64_t x = (r->state[r->lane] >> r->precision) * f + inside;
    if (x < (uint64_t)1 << r->base) {
        bytes word;
        TRY(take(&r->words, 2, &word));
        x = x << 16 | word.at[0] | (uint32_t)word.at[1] << 8;
    }
    r->state[r->lane] = x;
    r->lane = r->lane + 1 == r->lanes ? 0 : r->lane + 1;
    return OK;
}

static int rans_close(const rans *r)
{
    for (uint32_t i = 0; i < r->lanes; i++)
        if (r->state[i] != (uint64_t)1 << r->base)
            return CORRUPT;
    return at_end(&r->words);
}

// where the slots of symbols a to b - 1 begin: those of the left half first, then of its halves
static int read_halves(const bytes *data, uint64_t *at, uint32_t *begin, uint32_t a, uint32_t b)
{
    if (b - a < 2)
        return OK;
    uint32_t m = (a + b) / 2, size = begin[b] - begin[a] + 1, value = 0;
    if (size > 1) {
        int k = bit_length(size) - 1;
        uint32_t few = (2u << k) - size;  // so many values have k bits, the others k + 1
        value = bits_at(data, *at, k);
        if (value >= few)
            value = bits_at(data, *at, ++k) - few;
        *at += (uint64_t)k;
        if (*at > 8 * (uint64_t)data->left)
            return CORRUPT;
    }
    begin[m] = begin[a] + value;
    TRY(read_halves(data, at, begin, a, m));
    return read_halves(data, at, begin, m, b);
}

// where the slots of each symbol begin, and their total
static int read_table(bytes *data, uint32_t *begin, uint32_t alphabet, uint32_t total)
{
    uint64_t at = 0;
    bytes table;
    begin[0] = 0;
    begin[alphabet] = total;
    TRY(read_halves(data, &at, begin, 0, alphabet));
    return take(data, (at + 7) / 8, &table);
}

// the symbol whose slots hold this one
static uint32_t owner(const uint32_t *begin, uint32_t alphabet, uint32_t slot)
{
    uint32_t low = 0, high = alphabet;  // begin[low] <= slot < begin[high]
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (begin[middle] <= slot)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int rans_symbols(bytes data, uint32_t n, uint32_t alphabet, symbols *out)
{
    uint32_t *begin, precision, before = used;
    rans r;
    if (n == 0)
        return at_end(&data);
    TRY(take_byte(&data, 16, &precision));
    TRY(take_memory(&begin, 4 * ((uint64_t)alphabet + 1)));
    TRY(read_table(&data, begin, alphabet, 1u << precision));
    if (precision == 0) {
        set_all(out, n, owner(begin, alphabet, 0));
        used = before;
        return at_end(&data);
    }
    TRY(rans_open(&r, &data, n, (int)precision));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = rans_slot(&r), s = owner(begin, alphabet, slot);
        set_symbol(out, i, s);
        TRY(rans_next(&r, begin[s + 1] - begin[s], slot - begin[s]));
    }
    used = before;
    return rans_close(&r);
}

// a bit that is 1 with probability p / 2**16
static int rans_bit(rans *r, uint32_t p, int *bit)
{
    uint32_t slot = rans_slot(r), zeros = 65536 - p;
    *bit = slot >= zeros;
    return *bit ? rans_next(r, p, slot - zeros) : rans_next(r, zeros, slot);
}

