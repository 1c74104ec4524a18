// part: logarithms and probabilities in whole numbers; tables made once, natural logarithms times 256
#define LIMIT 3072
#define ONE ((uint64_t)1 << 44)
static int16_t ln_table[4097];      // 256 ln k
static uint16_t squash_table[LIMIT + 1];  // 2**16 / (1 + exp(-t / 256))

static uint64_t times(uint64_t a, uint64_t b)  // a * b / ONE, rounded down
{
    uint64_t a1 = a >> 32, a0 = a & 0xFFFFFFFF, b1 = b >> 32, b0 = b & 0xFFFFFFFF;
    uint64_t middle = (a0 * b0 >> 32) + (a1 * b0 & 0xFFFFFFFF) + (a0 * b1 & 0xFFFFFFFF);
    uint64_t high = a1 * b1 + (a1 * b0 >> 32) + (a0 * b1 >> 32) + (middle >> 32);
    return high << 20 | (middle & 0xFFFFFFFF) >> 12;
}

static void make_tables(void)
{
    uint64_t total = 0, power = ONE;
    uint64_t step = ONE + ONE / 256 + ONE / (2 * 65536) + ONE / (6 * ((uint64_t)1 << 24))
                    + ONE / (24 * ((uint64_t)1 << 32));  // exp(1 / 256)
    for (uint64_t k = 1; k < 4096; k++) {  // ln(k + 1) - ln k = 2 artanh(1 / (2 k + 1))
        uint64_t y = 2 * k + 1, term = 1;
        for (uint64_t p = ONE / y; p; p /= y * y, term += 2)
            total += 2 * p / term;
        ln_table[k + 1] = (int16_t)((total * 256 + ONE / 2) >> 44);
    }
    for (int t = 0; t <= LIMIT; t++) {
        uint64_t sum = ONE + power, half = sum / 2, p = 65536;
        if ((ONE << 16) > half)
            p -= ((ONE << 16) - half + sum - 1) / sum;
        squash_table[t] = (uint16_t)(p > 65535 ? 65535 : p);
        power = times(power, step);
    }
}

static int32_t ln_fixed(uint64_t v)
{
    int shift = v > 4096 ? bit_length(v) - 12 : 0;
    return ln_table[v >> shift] + (int32_t)((uint32_t)shift * 45426 >> 8);
}

static uint32_t squash(int64_t t)
{
    if (t >= 0)
        return squash_table[t < LIMIT ? t : LIMIT - 1];
    return 65536 - squash_table[t > -LIMIT ? -t : LIMIT];
}

// part: masks: bit i of `mask` says whether entry i is kept
static uint32_t rows_of(const shape *s)
{
    return s->axes == 1 ? 1 : s->axis[0];
}

static uint32_t columns_of(const shape *s)
{
    uint32_t n = s->axis[s->axes - 1];
    for (uint32_t i = 1; i + 1 < s->axes; i++)
        n *= s->axis[i];
    return n;
}

static void keep(uint8_t *mask, uint64_t i)
{
    mask[i / 8] |= (uint8_t)(1 << i % 8);
}

static int kept(const uint8_t *mask, uint64_t i)
{
    return mask[i / 8] >> i % 8 & 1;
}

// gaps by Golomb-Rice: g in g >> k zeros, a one and k bits
static int read_runs(bytes data, uint64_t size, uint8_t *mask)
{
    uint32_t count, k, i = 0;
    uint64_t place = 0, gap = 0, last = 0;
    bytes low;
    TRY(take_varint(&data, size, &count));
    TRY(take_byte(&data, 16, &k));
    TRY(take(&data, ((uint64_t)count * k + 7) / 8, &low));
    TRY(check_packed(&low, count, (int)k));
    for (uint64_t at = 0; at < 8 * (uint64_t)data.left; at++) {
        if (!bits_at(&data, at, 1)) {
            gap++;
            continue;
        }
        if (i == count)
            return CORRUPT;
        place += (gap << k) + bits_at(&low, (uint64_t)i * k, (int)k);
        if (place >= size)
            return CORRUPT;
        keep(mask, place++);
        gap = 0;
        last = at;
        i++;
    }
    return count == 0 || i < count || 8 * (uint64_t)data.left - last > 8 ? CORRUPT : OK;
}

// a density for each row (or column), then each bit under its own
static int read_densities(bytes data, uint32_t rows, uint32_t columns, int turned, uint8_t *mask)
{
    uint32_t m = turned ? columns : rows, n = turned ? rows : columns, some = 0;
    bytes part;
    symbols classes;
    rans r;
    TRY(take_part(&data, &part));
    TRY(take_symbols(&classes, m, 32));
    TRY(rans_symbols(part, m, 32, &classes));
    for (uint32_t i = 0; i < m; i++)
        some += symbol(&classes, i) > 0;
    if (some == 0)
        return at_end(&data);
    TRY(rans_open(&r, &data, some * n, 16));
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = 0; symbol(&classes, i) && j < n; j++) {
            int bit;
            TRY(rans_bit(&r, squash(128 * ((int32_t)symbol(&classes, i) - 1) - 2048), &bit));
            if (bit)
                keep(mask, turned ? (uint64_t)j * columns + i : (uint64_t)i * columns + j);
        }
    return rans_close(&r);
}

// part: crossed masks: log-odds of an entry are its row's plus its column's; equal ones are coded together
#define TOP 43

// where the slots of each of 16 symbols (four bits) begin, at log-odds of `level` steps
static void level_table(int level, uint32_t *begin)
{
    uint64_t count[16], q = squash(64 * level), weight, rest[16];
    uint32_t f[16], room = 65536, left = 65536;
    int fixed[16] = { 0 }, changed = 1;
    for (int s = 0; s < 16; s++) {
        count[s] = 1;
        for (int bit = 0; bit < 4; bit++)
            count[s] *= s >> bit & 1 ? q : 65536 - q;
        count[s] = count[s] >> 20 | 1;
    }
    while (changed) {  // shares below one are one
        uint32_t few = 0;
        weight = 0;
        changed = 0;
        for (int s = 0; s < 16; s++)
            weight += fixed[s] ? 0 : count[s];
        for (int s = 0; s < 16; s++)
            if (!fixed[s] && count[s] * room < weight)
                fixed[s] = changed = 1, few++;
        room -= few;
    }
    for (int s = 0; s < 16; s++) {
        f[s] = fixed[s] ? 1 : (uint32_t)(count[s] * room / weight);
        rest[s] = fixed[s] ? 0 : count[s] * room % weight + 1;
        left -= f[s];
    }
    for (; left; left--) {  // what is left goes to the largest remainders
        int best = 0;
        for (int s = 1; s < 16; s++)
            if (rest[s] > rest[best])
                best = s;
        f[best]++;
        rest[best] = 0;
    }
    begin[0] = 0;
    for (int s = 0; s < 16; s++)
        begin[s + 1] = begin[s] + f[s];
}

static int level_of(const symbols *rows, const symbols *columns, uint32_t i, uint32_t j)
{
    int sum = (int)symbol(rows, i) + (int)symbol(columns, j) - 64;
    return sum < -TOP ? -TOP : sum > TOP ? TOP : sum;
}

// all entries of one level, in groups of four bits
static int read_level(rans *r, int level, const symbols *row, const symbols *column,
                      uint32_t rows, uint32_t columns, uint8_t *mask)
{
    uint32_t begin[17], s = 0;
    int held = 0;
    level_table(level, begin);
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++) {
            if (level_of(row, column, i, j) != level)
                continue;
            if (!held) {
                uint32_t slot = rans_slot(r);
                s = owner(begin, 16, slot);
                TRY(rans_next(r, begin[s + 1] - begin[s], slot - begin[s]));
                held = 4;
            }
            if (s >> --held & 1)
                keep(mask, (uint64_t)i * columns + j);
        }
    return s & ((1u << held) - 1) ? CORRUPT : OK;
}

static int read_crossed(bytes data, uint32_t rows, uint32_t columns, uint8_t *mask)
{
    symbols row, column;
    bytes part;
    uint32_t count[2 * TOP + 1] = { 0 }, groups = 0;
    rans r;
    TRY(take_part(&data, &part));
    TRY(read_symbols(part, rows, 64, &row));
    TRY(take_part(&data, &part));
    TRY(read_symbols(part, columns, 64, &column));
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++)
            count[level_of(&row, &column, i, j) + TOP]++;
    for (int level = 0; level <= 2 * TOP; level++)
        groups += (count[level] + 3) / 4;
    TRY(rans_open(&r, &data, groups, 16));
    for (int level = 0; level <= 2 * TOP; level++)
        if (count[level])
            TRY(read_level(&r, level - TOP, &row, &column, rows, columns, mask));
    return rans_close(&r);
}

