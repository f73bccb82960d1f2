/* native_last.h: of each key the last record (start 4): one walk over what is there finds which, a
 * second one gives them. Pure; [any] */
#ifndef FRONTEND_NATIVE_NATIVE_LAST_H
#define FRONTEND_NATIVE_NATIVE_LAST_H

#include <sluice/types.h>

#define NATIVE_LAST_BYTES_MAX (64u << 20) /* of the keys of a partition */

struct native_last;

/* NULL: no memory. `end`: records from there on are not looked at. */
struct native_last *native_last_new(int64_t end, uint32_t keys_max);
struct native_last *native_last_free(struct native_last *last); /* NULL is fine; returns NULL */
int64_t native_last_end(const struct native_last *last);
/* A record of the first walk. SLUICE_E_LIMIT: more keys than that; SLUICE_E_NO_MEMORY. */
sluice_status native_last_note(struct native_last *last, struct sluice_bytes key, int64_t offset);
/* The first walk is done. */
void native_last_found(struct native_last *last);
bool native_last_is_found(const struct native_last *last);
/* Whether the record at that offset is the last of its key; records from the end on all are. */
bool native_last_has(const struct native_last *last, int64_t offset);
/* The first such offset at `offset` or behind it. */
int64_t native_last_next(const struct native_last *last, int64_t offset);

#endif
