// part: Huffman: canonical words of at most 16 bits, the shorter first, then the lower symbol
typedef struct { symbols lengths; uint32_t count[17], start[17], *order; } huffman;

static int huffman_lengths(bytes *data, huffman *h, uint32_t alphabet)
{
    uint32_t width;
    bytes part;
    TRY(take_byte(data, 5, &width));
    TRY(take_symbols(&h->lengths, alphabet, 17));
    if (width == 0) {
        TRY(take(data, 4, &part));
        uint32_t size = part.at[0] | (uint32_t)part.at[1] << 8 | (uint32_t)part.at[2] << 16
                        | (uint32_t)part.at[3] << 24;
        TRY(take(data, size, &part));
        return rans_symbols(part, alphabet, 17, &h->lengths);
    }
    TRY(take(data, ((uint64_t)alphabet * width + 7) / 8, &part));
    TRY(check_packed(&part, alphabet, (int)width));
    for (uint32_t i = 0; i < alphabet; i++) {
        uint32_t length = bits_at(&part, (uint64_t)i * width, (int)width);
        if (length > 16)
            return CORRUPT;
        set_symbol(&h->lengths, i, length);
    }
    return OK;
}

// the symbols in the order of their words; refuses lengths that no optimal code has
static int huffman_order(huffman *h, uint32_t alphabet)
{
    uint32_t next[17], room = 0, present = 0;
    memset(h->count, 0, sizeof h->count);
    for (uint32_t i = 0; i < alphabet; i++)
        h->count[symbol(&h->lengths, i)]++;
    for (int length = 1; length <= 16; length++) {
        h->start[length] = next[length] = present;
        present += h->count[length];
        if (h->count[length] > (65536 - room) >> (16 - length))
            return CORRUPT;
        room += h->count[length] << (16 - length);
    }
    if (room != 65536 && !(present == 1 && h->count[1] == 1))
        return CORRUPT;
    TRY(take_memory(&h->order, 4 * (uint64_t)present));
    for (uint32_t i = 0; i < alphabet; i++)
        if (symbol(&h->lengths, i))
            h->order[next[symbol(&h->lengths, i)]++] = i;
    return OK;
}

// the symbol at bit *at, which moves on
static uint32_t huffman_symbol(const huffman *h, const bytes *data, uint64_t *at)
{
    uint32_t word = bits_at(data, *at, 16), first = 0;  // first: 16 bits at which the words of a length begin
    for (int length = 1; length <= 16; length++) {
        uint32_t i = (word - first) >> (16 - length);
        if (i < h->count[length]) {
            *at += (uint64_t)length;
            return h->order[h->start[length] + i];
        }
        first += h->count[length] << (16 - length);
    }
    *at += 1;  // one symbol only, whose bits aren't looked at
    return h->order[0];
}

static int huffman_symbols(bytes data, uint32_t n, uint32_t alphabet, symbols *out)
{
    huffman h;
    bytes sizes = { NULL, 0 }, low;
    uint32_t blocks = (n - 1) / 4096, least = 0, width = 0, before = used;
    TRY(huffman_lengths(&data, &h, alphabet));
    TRY(huffman_order(&h, alphabet));
    if (blocks) {
        TRY(take(&data, 2, &low));
        least = ((uint32_t)low.at[0] << 8 | low.at[1]) + 1;
        TRY(take_byte(&data, 16, &width));
        TRY(take(&data, ((uint64_t)blocks * width + 7) / 8, &sizes));
        TRY(check_packed(&sizes, blocks, (int)width));
    }
    uint64_t at = 0, goal = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i && i % 4096 == 0) {
            goal += least + bits_at(&sizes, (uint64_t)(i / 4096 - 1) * width, (int)width);
            if (at != goal)
                return CORRUPT;
        }
        if (at >= 8 * (uint64_t)data.left)
            return CORRUPT;
        set_symbol(out, i, huffman_symbol(&h, &data, &at));
    }
    used = before;
    return (at + 7) / 8 == data.left ? OK : CORRUPT;
}

// part: a stream of symbols; `out` is memory that stays
static int read_symbols(bytes data, uint32_t n, uint32_t alphabet, symbols *out)
{
    enum { CONSTANT, BITS, HUFFMAN, RANS, ADAPTIVE };
    uint32_t code, value;
    int width = bit_length(alphabet - 1);
    TRY(take_symbols(out, n, alphabet));
    if (n == 0)
        return at_end(&data);
    TRY(take_byte(&data, ADAPTIVE, &code));
    if (code == CONSTANT) {
        TRY(take_varint(&data, alphabet - 1, &value));
        set_all(out, n, value);
        return at_end(&data);
    }
    if (code == RANS)
        return rans_symbols(data, n, alphabet, out);
    if (code == HUFFMAN)
        return huffman_symbols(data, n, alphabet, out);
    if (code == ADAPTIVE) {
        if ((uint64_t)n * (uint64_t)width > 65536)
            return CORRUPT;
        TRY(adaptive_symbols(data, n, width, out));
    } else {
        TRY(check_packed(&data, n, width));
        for (uint32_t i = 0; i < n; i++)
            set_symbol(out, i, bits_at(&data, (uint64_t)i * (uint64_t)width, width));
    }
    for (uint32_t i = 0; i < n; i++)
        if (symbol(out, i) >= alphabet)
            return CORRUPT;
    return OK;
}

