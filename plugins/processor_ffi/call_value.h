/* call_value: from the bytes of a record to a C value, and from a C value to text.
 *
 * Everything is checked before the call: integers must be whole and in range, a cstr must hold no
 * NUL. Sentences name no place: the caller does. [process] */
#ifndef CALL_VALUE_H
#define CALL_VALUE_H

#include "native_function.h"

#include <sluice/sluice.h>

/* Bytes that grow and are used again. */
struct call_buffer {
    uint8_t *data; /* [owned] */
    size_t size;
    size_t capacity;
};
void call_buffer_fini(struct call_buffer *buffer);
/* False: no memory; nothing changed. */
bool call_buffer_add(struct call_buffer *buffer, const void *data, size_t size);

/* Sets a parameter from plain text or bytes (a key, a value, a header). `copy` holds what must be
 * NUL-terminated until the call. NULL, or why not. */
const char *call_value_set_text(struct native_function *function, uint32_t parameter,
                                struct sluice_bytes text, struct call_buffer *copy);
/* The same from one JSON value, which json_find has checked: strings are unescaped, other values
 * are their text where a parameter takes text. A null is what is missing: *ret_missing. */
const char *call_value_set_json(struct native_function *function, uint32_t parameter,
                                struct sluice_bytes json, struct call_buffer *copy,
                                bool *ret_missing);

/* The result as text, in `to` or where the function left it: data NULL is null. As JSON it is a
 * number, a truth value or a string in quotes. NULL, or why not. */
const char *call_value_print(const struct native_function *function, bool hex,
                             struct call_buffer *to, struct sluice_bytes *ret_text);
const char *call_value_print_json(const struct native_function *function, bool hex,
                                  struct call_buffer *to, struct sluice_bytes *ret_text);
/* Of a result that is a number or a truth value. */
bool call_value_is_zero(const struct native_function *function);

#endif
