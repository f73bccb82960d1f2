/* cli_store.h: what the files of a data folder say, for commands that read them without a broker.
 *
 * A folder is a data folder (its shard-N are visited in order) or one shard's folder. Nothing is
 * changed, and no lock is taken unless cli_store_lock is called, so that a running broker minds
 * nothing. Everything here [blocks]. */
#ifndef SL_CLI_CLI_STORE_H
#define SL_CLI_CLI_STORE_H

#include "catalog/catalog.h"
#include "cli/cli_command.h"
#include "extent/extent_format.h"
#include "wal/wal.h"

#define STORE_SHARDS_MAX 64u
#define STORE_PATH_BYTES 1024u
#define STORE_NAME_BYTES 320u

struct cli_store {
    struct cli *cli;
    char directory[STORE_PATH_BYTES];
    uint32_t shards[STORE_SHARDS_MAX]; /* numbers, in order */
    uint32_t shard_count;
    bool is_shard; /* the folder is that of one shard, whose number nobody told */
    struct broker_settings settings;
    struct catalog *catalog; /* topics that the logs name */
};

/* directory: NULL for data.dir as `serve` with the same flags would have it. CLI_OK, or a code: a
 * sentence was written. Close it in any case. */
int cli_store_open(struct cli_store *store, struct cli *cli, const char *directory);
/* The configuration as `serve` with the same flags would have it, to be freed. CLI_OK, or a
 * sentence was written. */
int cli_config_load(struct cli *cli, struct sl_config **ret_config);
/* data.dir as `serve` with the same flags would have it. CLI_OK, or a sentence was written. */
int cli_store_configured(struct cli *cli, char ret_path[STORE_PATH_BYTES]);
void cli_store_close(struct cli_store *store);
/* index < shard_count */
void cli_store_shard_path(const struct cli_store *store, uint32_t index,
                          char ret_path[STORE_PATH_BYTES]);
/* False: a broker runs on it. *ret_lock is held until closed; NULL in a copy without a lock file.
 */
bool cli_store_lock(const struct cli_store *store, struct sl_file **ret_lock);

/* Keeps the files of a running broker as they are while they are read: segments that were recycled
 * under the reader would look damaged. */
struct cli_store_pin {
    struct cli_link link;
    bool is_held;
};
/* Asks the broker on the socket beside the folder; where none answers nothing is held, and readers
 * try again. */
void cli_store_pin(const struct cli_store *store, struct cli_store_pin *ret_pin);
void cli_store_unpin(struct cli_store_pin *pin);

/* What a shard's log says of its extents: those that are live, in order of their items. */
struct cli_store_log {
    struct extent_item *extents; /* owned */
    uint32_t extent_count, extent_capacity;
    bool known; /* the whole log was read; else it is less than that */
    struct wal_recovery report;
};

/* Reads the shard's log as recovery does, and takes the names of topics from it. A log that a
 * broker writes to meanwhile is tried again a few times. */
void cli_store_log_read(struct cli_store *store, uint32_t index, struct cli_store_log *ret_log);
void cli_store_log_free(struct cli_store_log *log);
const struct extent_item *cli_store_log_find(const struct cli_store_log *log, uint64_t id);
/* The topic's name, or its id where no log names it. */
const char *cli_store_topic(const struct cli_store *store, const struct sl_uuid *id,
                            char ret_name[STORE_NAME_BYTES]);

/* ---- output of such commands ---- */

void cli_u64_add(cJSON *object, const char *key, uint64_t value); /* as text: 64 bits */
void cli_i64_add(cJSON *object, const char *key, int64_t value);
cJSON *cli_event_new(const char *kind);
/* A JSON line, or as text with the same words, the first one without its name. [takes object] */
void cli_event_write(const struct cli *cli, cJSON *object);

/* A bar on stderr when that is a terminal, else a line every 10 s; nothing when the answer is JSON.
 */
struct cli_progress {
    struct cli *cli;
    const char *what;
    const char *unit; /* NULL: bytes */
    uint64_t done, total;
    int64_t begun_ns, shown_ns;
    bool shows, is_bar;
};
void cli_progress_begin(struct cli_progress *progress, struct cli *cli, const char *what,
                        uint64_t total);
/* Of what is counted: "letters". */
void cli_progress_begin_count(struct cli_progress *progress, struct cli *cli, const char *what,
                              uint64_t total, const char *unit);
void cli_progress_set(struct cli_progress *progress, uint64_t done);
void cli_progress_add(struct cli_progress *progress, uint64_t bytes);
void cli_progress_clear(struct cli_progress *progress); /* before other lines, and at the end */

#endif
