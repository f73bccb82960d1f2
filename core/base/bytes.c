/* bytes.c: comparisons of byte views and identifiers, and the text form of a uuid. */
#include "base/bytes.h"

bool sl_bytes_equal(struct sl_bytes a, struct sl_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool sl_uuid_equal(const struct sl_uuid *a, const struct sl_uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool sl_uuid_is_zero(const struct sl_uuid *uuid)
{
    static const struct sl_uuid none;
    return sl_uuid_equal(uuid, &none);
}

/* RFC 4648 section 5, without padding: 16 bytes are five groups of three and one byte over. */
void sl_uuid_text(const struct sl_uuid *uuid, char ret_text[23])
{
    static const char alphabet[65] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = ret_text;
    for (size_t i = 0; i < 15; i += 3) {
        uint32_t group =
            (uint32_t)uuid->b[i] << 16 | (uint32_t)uuid->b[i + 1] << 8 | uuid->b[i + 2];
        for (unsigned shift = 18; shift <= 18; shift -= 6)
            *out++ = alphabet[group >> shift & 63];
    }
    *out++ = alphabet[uuid->b[15] >> 2];
    *out++ = alphabet[(uuid->b[15] & 3) << 4];
    *out = '\0';
}
