/* <sluice/types.h>: plain data shared by every plugin and the host.
 *
 * Rules of the ABI: pure C; fixed-width integers only; no enums, bit fields or `long` in structs;
 * every struct that may grow begins with its size in bytes, set by whoever fills it, and a reader
 * looks only at members inside that size. A slot or pointer that is not set means "not
 * supported", never "call it".
 *
 * Thread tags on functions: [control] the instance's control thread, [process] serialised per
 * instance on any thread, [loop] the loop thread that called the plugin, [any] any thread. */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

#include <sluice/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SLUICE_EXTERN_C extern "C"
#else
#define SLUICE_EXTERN_C extern
#endif
/* Makes a symbol visible to the host, with C linkage, whatever -fvisibility says. */
#define SLUICE_EXPORT SLUICE_EXTERN_C __attribute__((visibility("default")))

/* Borrowed bytes. data == NULL is Kafka's null (a null key, a tombstone); data != NULL with
 * size 0 is empty. */
struct sluice_bytes {
    const uint8_t *data;
    uint64_t size;
};

/* Borrowed UTF-8 text, not NUL-terminated. */
struct sluice_text {
    const char *data;
    uint64_t size;
};

/* Topic or cluster identifier; all zero is "none". */
struct sluice_uuid {
    uint8_t bytes[16];
};

/* One header of a record, borrowed. Keys may repeat; a value may be null. */
struct sluice_header {
    struct sluice_text key;
    struct sluice_bytes value;
};

/* Who asks, through what, and until when: passed along with every call to the broker (ABI 1).
 * Borrowed for the call; the host copies what it keeps. */
struct sluice_context {
    uint32_t size;
    uint32_t reserved;
    struct sluice_text principal;   /* "User:ANONYMOUS", "Plugin:mask" */
    struct sluice_text listener;    /* name of the listener, "kafka" */
    struct sluice_text client_id;   /* as the client says; may be empty */
    struct sluice_text client_host; /* textual address of the peer */
    uint64_t connection;            /* host's connection token, 0: none */
    int64_t deadline_ms;            /* monotonic milliseconds; 0: none */
    struct sluice_bytes trace_id;   /* 16 bytes of W3C trace-id or null */
};

/* A view of a NUL-terminated string, without its NUL; NULL gives the empty text. [any] */
static inline struct sluice_text sluice_text_of(const char *text)
{
    struct sluice_text view = {text, 0};
    if (text != NULL) {
        while (text[view.size] != '\0') {
            view.size++;
        }
    }
    return view;
}

#endif
