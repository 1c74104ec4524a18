// part: from float weights to the integers of a layer, in the arithmetic of mcomp.integer
#if FLT_EVAL_METHOD != 0
#error "float must be computed in float (gcc on 32-bit x86: -msse2 -mfpmath=sse)"
#endif
typedef struct {
    int8_t *weight;
    int32_t *bias, *m0;
    uint8_t *shift;
    uint32_t outputs, size;  // size: weights of an output channel
    int weight_at, bias_at;  // which tensors of the file; -1 if there is no bias
    float source, out;       // what one step of the input and of the output is worth
} layer;

// half to even, for numbers below 2**22 and 2**51: adding pushes the fraction out
static int32_t whole_float(float v)
{
    volatile float sum = v + 12582912.0f;
    return (int32_t)(sum - 12582912.0f);
}

static int32_t whole_double(double v)
{
    volatile double sum = v + 6755399441055744.0;
    return (int32_t)(sum - 6755399441055744.0);
}

static float magnitude(float v)
{
    return v < 0 ? -v : v;
}

// m as m0 / 2**shift with 31 bits of m0
static int fixed(float m, int32_t *m0, uint8_t *shift)
{
    uint32_t pattern;
    memcpy(&pattern, &m, sizeof pattern);
    if (pattern == 0 || pattern >= 157u << 23)  // 0, 2**30 and above, negative, or none
        return CORRUPT;
    int exponent = (int)(pattern >> 23), places = 157 - exponent;
    int64_t full = (int64_t)(pattern & 0x7FFFFF) << 7;
    if (exponent > 0)
        full += (int64_t)1 << 30;
    else
        places = 156;
    *shift = (uint8_t)(places > 62 ? 62 : places);
    *m0 = (int32_t)(places > 102 ? 0 : places > 62 ? rounded_shift(full, places - 62) : full);
    return OK;
}

// the scale, the multiplier and the bias of an output channel whose largest weight is `most`
static int set_channel(const layer *l, uint32_t o, float most, float bias, float *scale)
{
    float reach = magnitude(bias) * 127.0f / (l->source * 1073741824.0f);
    most = reach > most ? reach : most;
    *scale = most / 127.0f;
    *scale = *scale == 0 ? 1.0f : *scale < FLT_MIN ? FLT_MIN : *scale;
    *scale = *scale < NETWORK_LARGEST_SCALE ? *scale : NETWORK_LARGEST_SCALE;
    double units = (double)bias / ((double)l->source * (double)*scale);
    if (!(units > -2147483647.0 && units < 2147483647.0))
        return CORRUPT;
    l->bias[o] = whole_double(units);
    return fixed(l->source * *scale / l->out, &l->m0[o], &l->shift[o]);
}

static int load_weights(const layer *l, const tensor *t, const float *bias)
{
    uint32_t at = 0, j = 0;
    for (uint32_t o = 0; o < l->outputs; o++) {
        uint32_t first = at, first_kept = j;
        float most = 0, scale;
        for (uint32_t i = 0; i < l->size; i++) {
            float v = magnitude(next_number(t, &at, &j));
            most = v > most ? v : most;
        }
        TRY(set_channel(l, o, most, bias[o], &scale));
        at = first;
        j = first_kept;
        for (uint32_t i = 0; i < l->size; i++) {
            float steps = next_number(t, &at, &j) * (1 / scale);
            steps = !(steps > -127) ? -127 : steps > 127 ? 127 : steps;
            l->weight[o * l->size + i] = (int8_t)whole_float(steps);
        }
    }
    return OK;
}

static int load_layer(const bytes *file, const layer *l)
{
    uint32_t before = used, at = 0, j = 0;
    float *bias;
    tensor t;
    TRY(take_memory(&bias, 4 * (uint64_t)l->outputs));
    uint32_t after = used;
    if (l->bias_at >= 0) {
        TRY(open_tensor(file, (uint32_t)l->bias_at, &t));
        for (uint32_t o = 0; o < l->outputs; o++)
            bias[o] = next_number(&t, &at, &j);
        used = after;
    }
    TRY(open_tensor(file, (uint32_t)l->weight_at, &t));
    TRY(load_weights(l, &t, bias));
    used = before;
    return OK;
}

// part: what the program calls
// decode the file into the weights of all layers: once, before network_run; 0, or what went wrong
int network_load(void)
{
    bytes file = { NETWORK_FILE, sizeof NETWORK_FILE };
    used = 0;
    make_tables();
    TRY(open_file(&file));
    for (uint32_t i = 0; i < sizeof LAYERS / sizeof *LAYERS; i++)
        TRY(load_layer(&file, &LAYERS[i]));
    return OK;
}

// the float numbers of a tensor of the file, by its place there; 0, or what went wrong
int network_weights(int place, float *out)
{
    bytes file = { NETWORK_FILE, sizeof NETWORK_FILE };
    uint32_t at = 0, j = 0;
    tensor t;
    used = 0;
    make_tables();
    TRY(open_file(&file));
    TRY(open_tensor(&file, (uint32_t)place, &t));
    for (uint32_t i = 0; i < t.size; i++)
        out[i] = next_number(&t, &at, &j);
    return OK;
}
