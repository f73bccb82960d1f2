/* rehearsal_frontend.h: a broker and clients that are made up, for one instance of a frontend.
 * Between rehearsal_frontend.c (connections and lives), rehearsal_client.c (what is sent) and
 * rehearsal_broker.h (calls).
 * Everything of a stage belongs to the thread that its life runs on. */
#ifndef SANDBOX_WORKER_REHEARSAL_FRONTEND_H
#define SANDBOX_WORKER_REHEARSAL_FRONTEND_H

#include "worker.h"

#include <sluice/filter.h>
#include <sluice/frontend.h>
#include <sluice/records.h>

#define STAGE_PEERS_MAX   8u
#define STAGE_CALLS_MAX   32u
#define STAGE_FILTERS_MAX 16u
#define STAGE_TASKS_MAX   SLUICE_TASKS_MAX
#define STAGE_INPUT_MAX   (64u << 10) /* that a client sends on a connection */
#define STAGE_FAULT_SIZE  320u

struct peer {
    uint64_t token; /* 0: free */
    void *conn;     /* the frontend's, once … */
    bool opened;
    bool closing; /* the frontend asked for it */
    bool dead;    /* conn_closed was called */
    bool feeding;
    bool resumed;
    bool queued; /* it takes its output later */
    uint32_t pauses;
    uint64_t wanted;
    uint32_t start; /* of what was not consumed yet */
    uint32_t end;   /* of what has arrived */
    uint32_t size;  /* of all that it sends */
    uint8_t bytes[STAGE_INPUT_MAX];
};

struct rehearsal_kind;
struct stage_call {
    const struct rehearsal_kind *kind; /* rehearsal_broker.h */
    uint32_t count;
    uint64_t connection;
    void (*done)(void); /* of the kind's own type */
    void *arg;
};

struct stage_filter {
    bool open;
    bool failed;
    uint32_t added;
    int64_t last_offset;
    sluice_filter_opened *opened; /* waits for it; or NULL */
    sluice_filter_judged *judged; /* likewise */
    void *arg;
};

/* Printable runs of the module's file: all, those in capitals, those that are paths. */
#define WORDS_MAX 512u
struct word {
    uint32_t at;
    uint32_t size;
};
struct word_list {
    uint32_t seen;
    uint32_t count;
    struct word items[WORDS_MAX];
};
struct words {
    const uint8_t *file;
    struct word_list any, keywords, paths;
};

struct stage {
    struct worker *worker;
    const struct words *words;
    const struct sluice_frontend *ops;
    void *self;
    bool over;  /* destroyed: nothing of the host may be touched */
    bool quiet; /* says not where it is: another one runs beside it */
    uint64_t seed;
    uint64_t random;
    uint32_t step;
    const char *doing;      /* the call into the frontend that runs */
    uint32_t refuse_writes; /* one in so many; 0: none */
    uint32_t deny_memory;   /* a call in so many; 0: none */
    bool early;             /* it is destroyed before its calls to the broker ended */
    uint64_t connections_max;
    int64_t now_ms;
    bool tick;
    uint64_t next_token;
    uint64_t records_token; /* valid in a fetch's done */
    char open_text[64];     /* what conn_open is shown, gone afterwards */
    struct config config;
    char error[128]; /* set_error */
    struct sluice_host host;
    struct sluice_frontend_host io;
    struct sluice_broker broker;
    struct sluice_records_host records;
    struct sluice_task_host tasks;
    struct sluice_filter_host filter_host;
    struct stage_filter filters[STAGE_FILTERS_MAX];
    struct peer peers[STAGE_PEERS_MAX];
    struct stage_call calls[STAGE_CALLS_MAX];
    uint32_t call_count;
    uint8_t note[512]; /* the last that was told */
    uint32_t note_size;
    struct task_item task_items[STAGE_TASKS_MAX];
    uint32_t task_count;
    uint8_t *guarded;     /* STAGE_INPUT_MAX bytes before a page that nobody may touch */
    uint64_t connections; /* of this life */
    uint64_t connections_total, pieces, writes, asked; /* what was done */
    char fault[STAGE_FAULT_SIZE];                      /* the first; "": none */
};

uint32_t stage_draw(struct stage *stage, uint32_t below);
/* Notes what the frontend did wrong, with the place. */
void stage_fault(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says which call runs, for when it dies there. */
void stage_doing(struct stage *stage, const char *call);
/* Whether the host may be called now. */
bool stage_may(struct stage *stage, const char *what);
/* A connection of the frontend; NULL: it is gone. */
struct peer *stage_peer(struct stage *stage, uint64_t token);

/* ---- rehearsal_client.c ---- */
void words_init(struct words *words);
void client_make(struct stage *stage, struct peer *peer); /* all that it will send */

/* ---- rehearsal_broker.c ---- */
void stage_broker_init(struct stage *stage);
void stage_call_end(struct stage *stage, uint32_t index, bool cancelled);
void stage_calls_cancel(struct stage *stage, uint64_t connection); /* 0: all that are left */

/* ---- rehearsal_filter.c ---- */
void stage_filters_init(struct stage *stage);
uint32_t stage_filters_open(const struct stage *stage);
bool stage_filter_waits(const struct stage *stage);
void stage_filter_end(struct stage *stage); /* one that waits */

#endif
