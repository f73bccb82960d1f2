/* call_record: one call of the function for one record: its arguments out of the record, its result
 * into what comes of it. Nothing is allocated per record once the buffers have grown. [process] */
#ifndef CALL_RECORD_H
#define CALL_RECORD_H

#include "call_settings.h"
#include "call_value.h"

#define CALL_HEADERS_MAX 1024u /* of an output */

struct call {
    struct call_settings settings;
    struct native_function function;
    struct call_buffer copies[NATIVE_PARAMETERS_MAX]; /* NUL-terminated arguments */
    struct call_buffer text;                          /* the result */
    struct call_buffer value;                         /* the value with the result in it */
    struct sluice_header *headers;                    /* [owned] of an output */
    uint32_t header_capacity;
    char reason[CALL_TEXT_BYTES]; /* why a record is rejected */
};

/* Sets the constants, once. False: reason says why. [control] */
bool call_prepare(struct call *call);
void call_fini(struct call *call);

/* What comes of a record. */
#define CALL_PASS   0u
#define CALL_DROP   1u
#define CALL_EMIT   2u /* *ret_out */
#define CALL_REJECT 3u /* call->reason */
uint32_t call_record(struct call *call, const struct sluice_record *in,
                     struct sluice_emit *ret_out);

#endif
