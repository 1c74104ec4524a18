// part: adaptive masks: row by row, the log-odds of an entry are a weighted sum that learns from each row
#define NEARS 24
typedef struct {
    int32_t rows, columns, width;  // width: of a line, if a row is an image; else 0
    int windows;                   // squares of 1, 3 and 5 columns are counted in an image, 1 if not
    int32_t *count[3], *x[3], *start, *expected, *near, *error, *spread;
    uint8_t *bit;
    int64_t weight[5], curvature[5];  // of the windows, of what the row kept so far, of a constant
    int64_t near_weight[NEARS], near_curvature[NEARS];
    int64_t prior, kept, t;
} mask_model;

// offsets of the neighbours that come later: to the right, then three lines of seven
static void near_offset(int k, int32_t *y, int32_t *x)
{
    *y = (k + 4) / 7;
    *x = (k + 4) % 7 - 3;
}

// the column at an offset; -1 outside of the image
static int32_t column_at(const mask_model *m, int32_t j, int32_t y, int32_t x)
{
    int32_t width = m->width ? m->width : m->columns;
    x += j % width;
    y += j / width;
    return x < 0 || x >= width || y < 0 || y * width + x >= m->columns ? -1 : y * width + x;
}

static int model_open(mask_model *m, uint32_t density)
{
    static const int64_t image[] = { 32768, 19661, 13107 };
    uint64_t size = 4 * (uint64_t)m->columns;
    m->windows = m->width ? 3 : 1;
    m->kept = m->t = 0;
    m->prior = squash(24 * (int32_t)density - LIMIT);
    for (int k = 0; k < m->windows; k++) {
        TRY(take_memory(&m->count[k], size));
        TRY(take_memory(&m->x[k], size));
        m->weight[k] = m->width ? image[k] : 52429;
    }
    m->weight[m->windows] = 32768;
    m->weight[m->windows + 1] = 0;
    for (int k = 0; k < 5; k++)
        m->curvature[k] = (int64_t)30 << 32;
    for (int k = 0; k < NEARS; k++) {
        int32_t y, x;
        near_offset(k, &y, &x);
        m->near_weight[k] = x * x + y * y == 1 ? 78643 : x * x + y * y == 2 ? 39322 : 16384;
        m->near_curvature[k] = (int64_t)30 << 16;
    }
    TRY(take_memory(&m->start, size));
    TRY(take_memory(&m->expected, size));
    TRY(take_memory(&m->near, size));
    TRY(take_memory(&m->error, size));
    TRY(take_memory(&m->spread, size));
    return take_memory(&m->bit, (uint64_t)m->columns);
}

// log-odds of the next row, without what the row tells
static void model_predict(mask_model *m)
{
    int64_t row = m->weight[m->windows], before = 0, columns = m->columns;
    int64_t base = ln_fixed((uint64_t)(m->kept * 65536 + 30 * m->prior));
    base -= ln_fixed((uint64_t)((m->t * columns - m->kept) * 65536 + 30 * (65536 - m->prior)));
    int32_t expected[26];  // of so many columns, how many were kept
    for (int64_t cells = 0; cells < 26; cells++)
        expected[cells] = ln_fixed((uint64_t)(cells * 16 * m->kept / columns + 13));
    for (int32_t j = 0; j < m->columns; j++) {
        int64_t sum = m->weight[m->windows + 1] * 256;
        for (int k = 0; k < m->windows; k++) {
            int cells = 0;
            for (int32_t y = -k; y <= k; y++)
                for (int32_t x = -k; x <= k; x++)
                    cells += column_at(m, j, y, x) >= 0;
            m->x[k][j] = ln_fixed((uint64_t)m->count[k][j] * 16 + 13) - expected[cells];
            sum += m->weight[k] * m->x[k][j];
        }
        int64_t odds = base + floor_shift(sum, 16);
        m->expected[j] = ln_fixed((uint64_t)(before >> 12) + 32);
        before += squash(odds);
        m->start[j] = (int32_t)(odds - floor_shift(row * m->expected[j], 16));
        m->near[j] = 0;
    }
}

// one Newton step: weight + step / 16 * slope / curvature, rounded down; no sum overflows
static void newton(int64_t *weight, int64_t *curvature, int64_t slope, int64_t bend, int step)
{
    *curvature += bend;
    slope *= step;
    int64_t q = slope / *curvature, rest = slope % *curvature, most = (int64_t)16 << 16;
    if (rest < 0) {
        q--;
        rest += *curvature;
    }
    for (int i = 0; i < 12; i++) {  // q = slope * 2**12 / curvature
        q *= 2;
        rest *= 2;
        if (rest >= *curvature) {
            q++;
            rest -= *curvature;
        }
    }
    q += *weight;
    *weight = q < -most ? -most : q > most ? most : q;
}

static void learn_near(mask_model *m)
{
    for (int k = 0; k < NEARS; k++) {
        int64_t slope = 0, bend = 0;
        int32_t y, x;
        near_offset(k, &y, &x);
        for (int32_t j = 0; j < m->columns; j++) {
            int32_t at = m->bit[j] ? column_at(m, j, y, x) : -1;
            slope += at < 0 ? 0 : m->error[at];
            bend += at < 0 ? 0 : m->spread[at];
        }
        newton(&m->near_weight[k], &m->near_curvature[k], slope, bend, 6);
    }
}

static void count_kept(mask_model *m, int32_t j)
{
    for (int k = 0; k < m->windows; k++)
        for (int32_t y = -k; y <= k; y++)
            for (int32_t x = -k; x <= k; x++) {
                int32_t at = column_at(m, j, y, x);
                if (at >= 0)
                    m->count[k][at]++;
            }
    for (int k = 0; m->width && k < NEARS; k++) {
        int32_t y, x, at;
        near_offset(k, &y, &x);
        at = column_at(m, j, y, x);
        if (at >= 0)
            m->near[at] += (int32_t)floor_shift(m->near_weight[k], 8);
    }
    m->kept++;
}

// the bits of the next row, and what they teach
static void model_row(mask_model *m, range_coder *r)
{
    int64_t slope[5] = { 0 }, bend[5] = { 0 }, hits = 0, before = m->kept;
    int features = m->windows + 2;
    model_predict(m);
    for (int32_t j = 0; j < m->columns; j++) {
        int32_t ln_hits = ln_fixed((uint64_t)(16 * hits + 32));
        int64_t x[5], odds = m->start[j] + floor_shift(m->weight[m->windows] * ln_hits, 16);
        uint32_t p = squash(odds + m->near[j]);
        m->bit[j] = (uint8_t)range_bit(r, p);
        m->error[j] = m->bit[j] * 65536 - (int32_t)p;
        m->spread[j] = (int32_t)(p * (65536 - p) >> 16);
        for (int k = 0; k < m->windows; k++)
            x[k] = m->x[k][j];
        x[m->windows] = ln_hits - m->expected[j];
        x[m->windows + 1] = 256;
        for (int k = 0; k < features; k++) {
            slope[k] += x[k] * m->error[j];
            bend[k] += x[k] * x[k] * m->spread[j];
        }
        if (m->bit[j]) {
            count_kept(m, j);
            hits++;
        }
    }
    for (int k = 0; k < features; k++)
        newton(&m->weight[k], &m->curvature[k], slope[k] * 256, bend[k], 16);
    if (m->width)
        learn_near(m);
    m->kept = before + hits;
    m->t++;
}

static uint32_t square_root(uint32_t n)
{
    uint32_t root = 0;
    while ((uint64_t)(root + 1) * (root + 1) <= n)
        root++;
    return root;
}

// the length of a line that an option stands for; -1 if there is none
static int32_t line_of(const shape *s, uint32_t option)
{
    uint32_t columns = columns_of(s), found[3] = { 0 }, n = 1, i = option >> 4;
    if (s->axes == 2)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            uint32_t root = square_root(columns / channels);
            if (root >= 8 && (uint64_t)root * root * channels == columns)
                found[n++] = root;
        }
    if (s->axes > 2) {
        uint32_t line = s->axis[s->axes - 1], filter = s->axes == 4 ? s->axis[2] * line : line;
        if (1 < line && line < columns)
            found[n++] = line;
        if (filter != line && 1 < filter && filter < columns)
            found[n++] = filter;
    }
    return i < n ? (int32_t)found[i] : -1;
}

static int read_adaptive(bytes data, const shape *s, uint32_t option, uint8_t *mask)
{
    uint32_t rows = rows_of(s), columns = columns_of(s), density, turned = option & 8;
    uint64_t size = (uint64_t)rows * columns;
    int32_t line = turned ? 0 : line_of(s, option);
    if (size > 1 << 19 || (turned ? option != 8 || s->axes == 1 || columns > 4096 : line < 0 || rows > 4096))
        return CORRUPT;
    if (s->axes == 1) {
        columns = square_root(columns - 1) + 1;
        rows = (s->axis[0] + columns - 1) / columns;
    }
    mask_model m = { .width = line };
    m.rows = (int32_t)(turned ? columns : rows);
    m.columns = (int32_t)(turned ? rows : columns);
    range_coder r;
    TRY(take_byte(&data, 255, &density));
    TRY(model_open(&m, density));
    range_open(&r, data);
    for (int32_t i = 0; i < m.rows; i++) {
        model_row(&m, &r);
        for (int32_t j = 0; j < m.columns; j++) {
            uint64_t at = turned ? (uint64_t)j * columns + (uint64_t)i : (uint64_t)i * columns + (uint64_t)j;
            if (m.bit[j] && at >= size)
                return CORRUPT;
            if (m.bit[j])
                keep(mask, at);
        }
    }
    return range_close(&r);
}

// part: a mask in any of the six codes
static int read_mask(bytes data, const shape *s, uint8_t *mask)
{
    enum { PLAIN, CONSTANT, RUNS, DENSITIES, ADAPTIVE, CROSSED };
    uint32_t rows = rows_of(s), columns = columns_of(s), first, method, option;
    uint64_t size = (uint64_t)rows * columns;
    TRY(take_byte(&data, 255, &first));
    method = first & 7;
    option = first & ~7u;
    if (method == ADAPTIVE)
        return read_adaptive(data, s, option, mask);
    if (method > CROSSED || option & ~8u || (option && method != CONSTANT && method != DENSITIES))
        return CORRUPT;
    if (method == CONSTANT) {
        memset(mask, option ? 255 : 0, (size_t)((size + 7) / 8));
        return at_end(&data);
    }
    if (method == PLAIN) {
        TRY(check_packed(&data, size, 1));
        for (uint64_t i = 0; i < size; i++)
            if (bits_at(&data, i, 1))
                keep(mask, i);
        return OK;
    }
    if (method == RUNS)
        return read_runs(data, size, mask);
    if (method == DENSITIES)
        return read_densities(data, rows, columns, option > 0, mask);
    return read_crossed(data, rows, columns, mask);
}

