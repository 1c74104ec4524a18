// part: bytes
enum { OK = 0, CORRUPT = -1, MEMORY = -2, UNKNOWN = -3 };  // what a function that may fail returns
#define TRY(call) do { int trouble = (call); if (trouble) return trouble; } while (0)

typedef struct { const uint8_t *at; uint32_t left; } bytes;

// all memory there is: taken from the bottom up, given back by setting `used`
static uint64_t memory[(NETWORK_MEMORY + 7) / 8];
static uint32_t used, most_used;

static int take_memory(void *pointer, uint64_t size)
{
    size = (size + 7) / 8;
    if (size > sizeof memory / 8 - used)
        return MEMORY;
    void *found = memory + used;
    memset(found, 0, (size_t)size * 8);
    memcpy(pointer, &found, sizeof found);
    used += (uint32_t)size;
    most_used = used > most_used ? used : most_used;
    return OK;
}

static int take(bytes *from, uint64_t n, bytes *part)
{
    if (n > from->left)
        return CORRUPT;
    part->at = from->at;
    part->left = (uint32_t)n;
    from->at += n;
    from->left -= (uint32_t)n;
    return OK;
}

static int take_byte(bytes *from, uint32_t high, uint32_t *value)
{
    bytes one;
    TRY(take(from, 1, &one));
    *value = *one.at;
    return *value > high ? CORRUPT : OK;
}

// seven bits a byte, lowest first, top bit = more follow; at most `high`
static int take_varint(bytes *from, uint64_t high, uint32_t *value)
{
    uint64_t sum = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        uint32_t b;
        TRY(take_byte(from, 255, &b));
        sum |= (uint64_t)(b & 127) << shift;
        if (b < 128) {
            *value = (uint32_t)sum;
            return (b == 0 && shift > 0) || sum > high ? CORRUPT : OK;
        }
    }
    return CORRUPT;
}

// a part with its length before it
static int take_part(bytes *from, bytes *part)
{
    uint32_t n;
    TRY(take_varint(from, from->left, &n));
    return take(from, n, part);
}

static int at_end(const bytes *from)
{
    return from->left ? CORRUPT : OK;
}

// `width` bits, up to 17, from bit `at` on, the highest first; zeros after the end
static uint32_t bits_at(const bytes *from, uint64_t at, int width)
{
    uint32_t v = 0;
    for (uint64_t i = at / 8; i < at / 8 + 3; i++)
        v = v << 8 | (i < from->left ? from->at[i] : 0);
    return v >> (24 - width - (int)(at % 8)) & ((1u << width) - 1);
}

// whether n numbers of `width` bits fill these bytes, the last one up with zeros
static int check_packed(const bytes *from, uint64_t n, int width)
{
    uint64_t bits = n * (uint64_t)width;
    if (from->left != (bits + 7) / 8)
        return CORRUPT;
    return bits_at(from, bits, (int)(8 * (uint64_t)from->left - bits)) ? CORRUPT : OK;
}

static int bit_length(uint64_t v)
{
    int n = 0;
    for (; v; v >>= 1)
        n++;
    return n;
}

// part: symbols
typedef struct { uint8_t *narrow; uint16_t *wide; } symbols;  // one of them is there

static int take_symbols(symbols *s, uint32_t n, uint32_t alphabet)
{
    s->narrow = NULL;
    s->wide = NULL;
    return alphabet > 256 ? take_memory(&s->wide, 2 * (uint64_t)n) : take_memory(&s->narrow, n);
}

static uint32_t symbol(const symbols *s, uint32_t i)
{
    return s->narrow ? s->narrow[i] : s->wide[i];
}

static void set_symbol(symbols *s, uint32_t i, uint32_t value)
{
    if (s->narrow)
        s->narrow[i] = (uint8_t)value;
    else
        s->wide[i] = (uint16_t)value;
}

static void set_all(symbols *s, uint32_t n, uint32_t value)
{
    for (uint32_t i = 0; i < n; i++)
        set_symbol(s, i, value);
}

// part: range coder: an interval of the numbers below 2**32, cut in the ratio of the two probabilities
typedef struct { bytes data; uint32_t at; uint64_t value, width; } range_coder;

static uint32_t next_byte(range_coder *r)
{
    uint32_t b = r->at < r->data.left ? r->data.at[r->at] : 0;
    r->at++;
    return b;
}

static void range_open(range_coder *r, bytes data)
{
    r->data = data;
    r->at = 0;
    r->value = 0;
    r->width = (uint64_t)1 << 32;
    for (int i = 0; i < 4; i++)
        r->value = r->value << 8 | next_byte(r);
}

// a bit that is 1 with probability p / 2**16
static int range_bit(range_coder *r, uint32_t p)
{
    uint64_t split = (r->width >> 16) * p;
    int bit = r->value < split;
    if (bit) {
        r->width = split;
    } else {
        r->value -= split;
        r->width -= split;
    }
    for (; r->width < 1 << 24; r->width <<= 8)
        r->value = r->value << 8 | next_byte(r);
    return bit;
}

static int range_close(const range_coder *r)
{
    uint32_t n = r->data.left;
    return r->at < n || (n && r->data.at[n - 1] == 0) ? CORRUPT : OK;
}

// symbols of `width` bits, each bit predicted from how often it was one at its node of the tree
static int adaptive_symbols(bytes data, uint32_t n, int width, symbols *out)
{
    uint32_t *ones, *seen, leaves = 1u << width, before = used;
    TRY(take_memory(&ones, 4 * (uint64_t)leaves));
    TRY(take_memory(&seen, 4 * (uint64_t)leaves));
    range_coder r;
    range_open(&r, data);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = 1;
        while (node < leaves) {
            uint32_t p = (uint32_t)(((uint64_t)(2 * ones[node] + 1) << 16) / (2 * seen[node] + 2));
            int bit = range_bit(&r, p < 16 ? 16 : p > 65520 ? 65520 : p);
            seen[node]++;
            ones[node] += (uint32_t)bit;
            node = 2 * node + (uint32_t)bit;
        }
        set_symbol(out, i, node - leaves);
    }
    used = before;
    return range_close(&r);
}

