// part: base
typedef struct { int32_t zero, low, high; } grid;  // a tensor's zero point and its least and largest integer

// floor(p / 2**n): C99 leaves open what >> does to a negative number
static int64_t floor_shift(int64_t p, int n)
{
    return p < 0 ? ~(~p >> n) : p >> n;
}

// p / 2**shift to the nearest integer, half to even
static int64_t rounded_shift(int64_t p, int shift)
{
    int64_t half = (int64_t)1 << (shift - 1), q = floor_shift(p + half, shift);
    return q - ((p & (2 * half - 1)) == half && (q & 1));
}

static int8_t clipped(int64_t q, grid g)
{
    return (int8_t)(q < g.low ? g.low : q > g.high ? g.high : q);
}

// part: factor
// from accumulator to the output's grid: times m0 / 2**shift, which is the ratio of their steps
static int8_t requantized(int32_t acc, int32_t m0, int shift, grid g)
{
    return clipped(rounded_shift((int64_t)acc * m0, shift) + g.zero, g);
}

// part: product
typedef struct {
    const int8_t *weight;    // (outputs, inputs / groups, kernel height, kernel width)
    const int32_t *bias, *m0;  // one each for an output channel
    const uint8_t *shift;
    int inputs, height, width, outputs, kernel_height, kernel_width, stride, padding, groups;
    int32_t zero;  // zero point of what comes in
    grid out;
} product;

// part: linear
static void linear(const int8_t *x, int8_t *y, const product *p)
{
    const int8_t *w = p->weight;
    for (int o = 0; o < p->outputs; o++, w += p->inputs) {
        int32_t acc = p->bias[o];
        for (int i = 0; i < p->inputs; i++)
            acc += (x[i] - p->zero) * w[i];
        y[o] = requantized(acc, p->m0[o], p->shift[o], p->out);
    }
}

// part: conv2d
// the sum over one window; outside of the image is zero, and adds nothing
static int32_t window(const int8_t *x, const int8_t *w, const product *p, int top, int left)
{
    int32_t acc = 0;
    for (int c = 0; c < p->inputs / p->groups; c++, x += p->height * p->width)
        for (int i = top; i < top + p->kernel_height; i++)
            for (int j = left; j < left + p->kernel_width; j++, w++)
                if (i >= 0 && i < p->height && j >= 0 && j < p->width)
                    acc += (x[i * p->width + j] - p->zero) * *w;
    return acc;
}

static void conv2d(const int8_t *x, int8_t *y, const product *p)
{
    int area = p->inputs / p->groups * p->kernel_height * p->kernel_width;
    int channels = p->inputs / p->groups * p->height * p->width;
    int last_top = p->height + p->padding - p->kernel_height;
    int last_left = p->width + p->padding - p->kernel_width;
    for (int o = 0; o < p->outputs; o++) {
        const int8_t *seen = x + o / (p->outputs / p->groups) * channels;
        for (int top = -p->padding; top <= last_top; top += p->stride)
            for (int left = -p->padding; left <= last_left; left += p->stride) {
                int32_t acc = p->bias[o] + window(seen, p->weight + o * area, p, top, left);
                *y++ = requantized(acc, p->m0[o], p->shift[o], p->out);
            }
    }
}

// part: add
// a + b, each on a grid of its own: one shift for both, added before the one rounding
static void add(const int8_t *a, const int8_t *b, int8_t *y, int n,
                int32_t zero_a, int32_t zero_b, int64_t times_a, int64_t times_b, int shift, grid g)
{
    for (int i = 0; i < n; i++) {
        int64_t sum = (a[i] - zero_a) * times_a + (b[i] - zero_b) * times_b;
        y[i] = clipped(rounded_shift(sum, shift) + g.zero, g);
    }
}

// part: average
// the mean over all positions of each channel; the division is part of m0 / 2**shift
static void average(const int8_t *x, int8_t *y, int channels, int positions,
                    int32_t zero, int32_t m0, int shift, grid g)
{
    for (int c = 0; c < channels; c++) {
        int32_t acc = -positions * zero;
        for (int i = 0; i < positions; i++)
            acc += *x++;
        y[c] = requantized(acc, m0, shift, g);
    }
}

// part: rectify
static void rectify(const int8_t *x, int8_t *y, int n, int32_t zero)
{
    for (int i = 0; i < n; i++)
        y[i] = (int8_t)(x[i] < zero ? zero : x[i]);
}

// part: largest
static int8_t largest_of(const int8_t *x, int height, int width, int top, int left, int high, int wide)
{
    int8_t most = INT8_MIN;
    for (int i = top < 0 ? 0 : top; i < top + high && i < height; i++)
        for (int j = left < 0 ? 0 : left; j < left + wide && j < width; j++)
            if (x[i * width + j] > most)
                most = x[i * width + j];
    return most;
}

static void largest(const int8_t *x, int8_t *y, int channels, int height, int width,
                    int high, int wide, int stride, int padding)
{
    for (int c = 0; c < channels; c++, x += height * width)
        for (int top = -padding; top <= height + padding - high; top += stride)
            for (int left = -padding; left <= width + padding - wide; left += stride)
                *y++ = largest_of(x, height, width, top, left, high, wide);
}
