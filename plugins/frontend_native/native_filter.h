/* native_filter.h: conditions on headers that a record must meet to be sent.
 *
 *   name   !name   name=value   name!=value   name^=begins     joined by `&`: all must hold
 *
 * Names and values may have %XX. A header may come several times: `name=value` holds when one of
 * them has the value, `name!=value` when none has. A null value has no bytes. Pure; [any] */
#ifndef FRONTEND_NATIVE_NATIVE_FILTER_H
#define FRONTEND_NATIVE_NATIVE_FILTER_H

#include <sluice/processor.h>

#define NATIVE_FILTER_CONDITIONS_MAX 32u
#define NATIVE_FILTER_BYTES_MAX      4096u

struct native_condition;

struct native_filter {
    uint32_t count;
    struct native_condition *conditions; /* owned, with their texts; NULL: none */
};

/* SLUICE_E_INVALID: it is none, has more than so many conditions, or is longer; SLUICE_E_NO_MEMORY.
 * An empty text is the filter that everything passes. */
sluice_status native_filter_init(struct native_filter *filter, struct sluice_text text);
void native_filter_fini(struct native_filter *filter);
bool native_filter_passes(const struct native_filter *filter, const struct sluice_record *record);

/* The value of `sluice-expires`, milliseconds since 1970; INT64_MAX: it never does, or what is
 * there is no number. */
int64_t native_record_expires(const struct sluice_record *record);
/* The value of `sluice-deliver-at`, likewise; 0: at once. */
int64_t native_record_deliver_at(const struct sluice_record *record);

#endif
