/* <sluice/embed.h>: a broker inside another program (libsluice-broker, pkg-config sluice-broker).
 *
 *   create ─► run (on a thread of the caller's, until stop) ─► destroy
 *
 * The library has no globals, installs no signal handlers and never ends the process: any number of
 * brokers can run in one, each with a data folder and ports of its own. The program should ignore
 * SIGPIPE, as everything does that writes to sockets. Plugins and the program of their workers are
 * looked for beside the library, as they are installed. */
#ifndef SLUICE_EMBED_H
#define SLUICE_EMBED_H

#include <sluice/types.h>

/* A broker. Made by sluice_embed_create. */
struct sluice_embed;

/* Room for a sentence that says why a broker cannot be made. */
#define SLUICE_EMBED_PROBLEM_BYTES 1024

/* What sluice_embed_create is told. All texts are borrowed for the call. */
struct sluice_embed_config {
    uint32_t size;
    uint32_t setting_count;
    const char *const *settings; /* "kafka.listen=127.0.0.1:9092"; keys as in the reference */
    const char *file;            /* a configuration file; NULL: defaults */
    const char *prefix;          /* of an installation; NULL: the one the library is in */
    /* One line of the log, its newline included; NULL: standard error. [any thread] */
    void (*log)(void *arg, const char *line, uint64_t size);
    /* Its ports are open: publish and metrics answer from now on. May be NULL. [run's thread] */
    void (*ready)(void *arg);
    void *arg;
};

/* Makes a broker: reads the configuration, locks its data folder and recovers what is there. It
 * serves nobody before it runs. On failure ret_problem is one sentence. SLUICE_E_CONFIG_…,
 * SLUICE_E_LOCKED, SLUICE_E_IO, SLUICE_E_NO_MEMORY. [any] [blocks] */
SLUICE_EXPORT sluice_status sluice_embed_create(const struct sluice_embed_config *config,
                                                struct sluice_embed **ret_embed,
                                                char ret_problem[SLUICE_EMBED_PROBLEM_BYTES]);
/* Serves until sluice_embed_stop; once in a broker's life, else SLUICE_E_INVALID. SLUICE_E_FENCED:
 * its storage failed; what was acknowledged is there at the next start. [blocks] */
SLUICE_EXPORT sluice_status sluice_embed_run(struct sluice_embed *embed);
/* Begins the end, also of one that is not ready yet: run returns when everything is closed.
 * SLUICE_E_NOT_RUNNING: run was not called yet, or has returned. [any] */
SLUICE_EXPORT sluice_status sluice_embed_stop(struct sluice_embed *embed);
/* Takes a part of a text. */
typedef void sluice_embed_write(void *arg, const char *text, uint64_t size);
/* Gives /metrics, in Prometheus' format, to write. SLUICE_E_NOT_RUNNING; SLUICE_E_UNSUPPORTED: the
 * library was built without telemetry. [any] */
SLUICE_EXPORT sluice_status sluice_embed_metrics(struct sluice_embed *embed,
                                                 sluice_embed_write *write, void *arg);
/* Frees a broker that does not run; one that never ran has its log closed in order. NULL is fine.
 * [blocks] */
SLUICE_EXPORT void sluice_embed_destroy(struct sluice_embed *embed);

/* ---- publishing without a socket ---- */

/* Bytes that are published where they lie: static (release NULL), shared (release gives a reference
 * back) or of a file (sluice_embed_map). They must not change until then. */
struct sluice_payload {
    const void *data; /* NULL: Kafka's null */
    uint64_t size;
    /* Called exactly once for each sluice_embed_publish, whatever came of it: as soon as the bytes
     * were copied into the batch for the log, which is before the batch is durable; where they
     * never get so far, before `done`; and before the return of a publish that is refused. [any] */
    void (*release)(void *arg);
    void *release_arg;
};
/* A part of a file as a payload, mapped read-only; its release unmaps it, so that it is published
 * once. The file must not become shorter before. SLUICE_E_NOT_FOUND, SLUICE_E_IO,
 * SLUICE_E_INVALID: the part is not within the file, or empty. [any] [blocks] */
SLUICE_EXPORT sluice_status sluice_embed_map(const char *path, uint64_t offset, uint64_t size,
                                             struct sluice_payload *ret_payload);

/* How a publish ended: SLUICE_OK when the record is as durable as its topic wants, with its offset.
 * [run's thread] */
typedef void sluice_published(void *arg, sluice_status status, int64_t offset);
/* One record. topic and key are copied before publish returns. */
struct sluice_publication {
    uint32_t size;
    int32_t partition;
    const char *topic; /* it exists already */
    struct sluice_bytes key;
    struct sluice_payload payload;
    sluice_published *done; /* NULL: nobody asks. Called once, when publish gave SLUICE_OK */
    void *arg;
};
/* Publishes a record, in the order of calls of one thread. SLUICE_E_NOT_RUNNING, SLUICE_E_INVALID,
 * SLUICE_E_NO_MEMORY; SLUICE_E_WOULD_BLOCK: 65536 records or 64 MiB are under way. [any] */
SLUICE_EXPORT sluice_status sluice_embed_publish(struct sluice_embed *embed,
                                                 const struct sluice_publication *publication);

#endif
