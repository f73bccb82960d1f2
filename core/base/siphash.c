/* siphash.c: see siphash.h. */
#include "base/siphash.h"
#include "base/bytes.h"

struct state {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void mix(struct state *s, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotate(s->b, 13) ^ s->a;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a = rotate(s->a, 32) + s->d;
        s->c += s->b;
        s->b = rotate(s->b, 17) ^ s->c;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c = rotate(s->c, 32);
    }
}

static inline void absorb(struct state *s, uint64_t word)
{
    s->d ^= word;
    mix(s, 2);
    s->a ^= word;
}

/* The bytes that fill no word, and the size. */
static uint64_t last_word(const uint8_t *at, size_t left, size_t size)
{
    uint64_t word = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

struct sl_hash128 sl_siphash128(const uint8_t key[16], const void *data, size_t size)
{
    uint64_t k0 = sl_le64_load(key);
    uint64_t k1 = sl_le64_load(key + 8);
    struct state s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xee,
                      k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    const uint8_t *at = data;
    size_t left = size;
    for (; left >= 8; at += 8, left -= 8)
        absorb(&s, sl_le64_load(at));
    absorb(&s, last_word(at, left, size));
    struct sl_hash128 hash;
    s.c ^= 0xee;
    mix(&s, 4);
    hash.low = s.a ^ s.b ^ s.c ^ s.d;
    s.b ^= 0xdd;
    mix(&s, 4);
    hash.high = s.a ^ s.b ^ s.c ^ s.d;
    return hash;
}
