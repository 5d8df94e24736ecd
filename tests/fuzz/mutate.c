#include "mutate.h"

#include <string.h>

static uint64_t state;

void
mutate_seed(uint64_t seed)
{
    state = 0x9e3779b97f4a7c15u ^ seed;
}

/* xorshift64* */
size_t
mutate_below(size_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 0x2545f4914f6cdd1du) >> 33) % limit;
}

enum mutation { SET, FLIP, STEP, REMOVE, REPEAT, INSERT, OVERWRITE, CUT, MUTATION_COUNT };

/* What octets of JSON, YAML, URLs, names and DER are likely to be turned into. */
static uint8_t
pick_octet(void)
{
    static const char likely[] = "\0\001\002\177\200\377\n\r\t \"'\\/:;,.*-_#%?@[]{}<>=0129aAzZ"
                                 "\060\061\201\202\240\xc3\xbc\x1b";

    size_t octet = mutate_below(256);

    if (mutate_below(2) == 0)
        return (uint8_t)likely[octet % (sizeof(likely) - 1)];
    return (uint8_t)octet;
}

/* Makes room for `run` octets at `at`; false when there is none. */
static bool
open_gap(struct input *input, size_t capacity, size_t at, size_t run)
{
    if (input->size + run > capacity)
        return false;
    memmove(input->data + at + run, input->data + at, input->size - at);
    input->size += run;
    return true;
}

static void
splice(struct input *input, size_t capacity, size_t at, const struct input *other, bool overwrite)
{
    if (other->size == 0)
        return;
    size_t from = mutate_below(other->size);
    size_t run = 1 + mutate_below(other->size - from < 64 ? other->size - from : 64);

    if (overwrite && run > input->size - at)
        run = input->size - at;
    if (overwrite || open_gap(input, capacity, at, run))
        memcpy(input->data + at, other->data + from, run);
}

static void
mutate_once(struct input *input, size_t capacity, const struct input *other)
{
    size_t at = input->size > 0 ? mutate_below(input->size) : 0;
    size_t left = input->size - at;
    size_t run = left > 0 ? 1 + mutate_below(left < 32 ? left : 32) : 0;
    uint8_t *octet = input->data + at;

    switch (left > 0 ? (enum mutation)mutate_below(MUTATION_COUNT) : INSERT) {
    case SET:
        *octet = pick_octet();
        break;
    case FLIP:
        *octet = (uint8_t)(*octet ^ 1u << mutate_below(8));
        break;
    case STEP:
        *octet = (uint8_t)(*octet + (mutate_below(2) == 0 ? 1 : 255));
        break;
    case REMOVE:
        memmove(octet, octet + run, left - run);
        input->size -= run;
        break;
    case REPEAT:
        if (open_gap(input, capacity, at + run, run))
            memcpy(octet + run, octet, run);
        break;
    case INSERT:
        splice(input, capacity, at, other, false);
        break;
    case OVERWRITE:
        splice(input, capacity, at, other, true);
        break;
    case CUT:
        input->size = at;
        break;
    case MUTATION_COUNT:
        break;
    }
}

void
mutate(struct input *input, size_t capacity, const struct input *other)
{
    for (size_t times = 1 + mutate_below(4); times > 0; times--)
        mutate_once(input, capacity, other);
}
