/* base.h: the vocabulary that every room uses: errors, asserts, byte views, small helpers.
 *
 * An assertion states what must hold whatever a client, file or plugin sends; it stays on in
 * release builds, because a broker that goes on with broken invariants loses records. Input is
 * never asserted. */
#ifndef SL_BASE_BASE_H
#define SL_BASE_BASE_H

#include <sluice/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Result of a fallible function: SLUICE_OK (0) or one of SLUICE_E_*. */
typedef sluice_status sl_err;

#define SL_MUST_CHECK   __attribute__((warn_unused_result))
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SL_UNUSED       __attribute__((unused))

#define SL_COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))
#define SL_MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define SL_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Prints the expression and place to stderr and aborts. [any] */
_Noreturn void sl_assert_failed(const char *expression, const char *file, int line);
#define SL_ASSERT(expression) \
    ((expression) ? (void)0 : sl_assert_failed(#expression, __FILE__, __LINE__))

/* A borrowed run of bytes. data may be NULL only when size is 0; a Kafka null is written apart. */
struct sl_bytes {
    const uint8_t *data;
    size_t size;
};

/* A gather element; the layout of POSIX struct iovec, so that sl_os passes it on as it is. */
struct sl_iovec {
    void *base;
    size_t size;
};

/* 128-bit identifier (topic, cluster); all zero means "none". */
struct sl_uuid {
    uint8_t b[16];
};

bool sl_bytes_equal(struct sl_bytes a, struct sl_bytes b);
bool sl_uuid_equal(const struct sl_uuid *a, const struct sl_uuid *b);
bool sl_uuid_is_zero(const struct sl_uuid *uuid);
/* Writes 22 characters of URL-safe base64 (Kafka's text form of a uuid) and NUL. */
void sl_uuid_text(const struct sl_uuid *uuid, char ret_text[23]);

/* malloc/calloc/realloc for control paths: NULL on failure, sizes checked for overflow. [any] */
void *sl_alloc(size_t size) SL_MUST_CHECK;
void *sl_alloc_zero(size_t count, size_t size) SL_MUST_CHECK;
void *sl_realloc(void *memory, size_t size) SL_MUST_CHECK;
void sl_free(void *memory);                                         /* NULL is fine */
char *sl_strdup_bytes(const void *data, size_t size) SL_MUST_CHECK; /* adds NUL */

#endif
