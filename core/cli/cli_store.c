/* cli_store.c: see cli_store.h. */
#include "cli/cli_store.h"

#include "base/buffer.h"
#include "wal/wal_inspect.h"

#include <stdlib.h>
#include <string.h>

#define LOG_TRIES        3u
#define PROGRESS_NS      100000000
#define PROGRESS_LINE_NS INT64_C(10000000000) /* where nobody watches */
#define PROGRESS_BARS    30u

extern char **environ;

/* ---- the folder ---- */

static void entry_take(void *arg, const char *name, bool is_directory)
{
    struct cli_store *store = arg;
    char *end = NULL;
    if (!is_directory || strncmp(name, "shard-", 6) != 0 ||
        store->shard_count == STORE_SHARDS_MAX) {
        return;
    }
    unsigned long number = strtoul(name + 6, &end, 10);
    if (end != name + 6 && *end == '\0' && number < STORE_SHARDS_MAX) {
        store->shards[store->shard_count++] = (uint32_t)number;
    }
}

static int number_compare(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return *a < *b ? -1 : *a > *b;
}

int cli_config_load(struct cli *cli, struct sl_config **ret_config)
{
    struct config_sources sources = {.dev = cli->options.dev,
                                     .home = cli_value(&cli->options.home, NULL),
                                     .environment = (const char *const *)environ,
                                     .executable = cli->executable};
    struct config_report report = {.count = 0};
    for (uint32_t i = 0; i < cli->options.config.count && i < CONFIG_FILES_MAX; i++) {
        sources.files[sources.file_count++] = cli->options.config.items[i];
    }
    for (uint32_t i = 0; i < cli->options.set.count; i++) {
        sources.settings[sources.setting_count++] = cli->options.set.items[i];
    }
    if (config_load(cli->os, &sources, &report, ret_config) != SLUICE_OK) {
        config_report_write(&report, stderr);
        return CLI_CONFIG;
    }
    return CLI_OK;
}

int cli_store_configured(struct cli *cli, char ret_path[STORE_PATH_BYTES])
{
    struct sl_config *config = NULL;
    int code = cli_config_load(cli, &config);
    if (code != CLI_OK) {
        return code;
    }
    snprintf(ret_path, STORE_PATH_BYTES, "%s", config->data.dir);
    bool has_disk = config_has_disk(config);
    config_free(config);
    if (!has_disk) {
        cli_complain("data.dir is none: that broker keeps everything in memory, there is no file "
                     "to look at");
        return CLI_FAILED;
    }
    return CLI_OK;
}

int cli_store_open(struct cli_store *store, struct cli *cli, const char *directory)
{
    memset(store, 0, sizeof(*store));
    store->cli = cli;
    broker_settings_init(&store->settings);
    if (directory != NULL && strlen(directory) > STORE_PATH_BYTES - 128) {
        cli_complain("the name of the folder is longer than %u bytes", STORE_PATH_BYTES - 128);
        return CLI_USAGE;
    }
    if (directory != NULL) {
        snprintf(store->directory, sizeof(store->directory), "%s", directory);
    } else {
        int code = cli_store_configured(cli, store->directory);
        if (code != CLI_OK) {
            return code;
        }
    }
    if (sl_dir_list(cli->os, store->directory, entry_take, store) != SLUICE_OK) {
        cli_complain("%.200s: the folder cannot be read; name a data folder, or give the "
                     "flags of sluice serve (--dev, --home, --config)",
                     store->directory);
        return CLI_FAILED;
    }
    store->is_shard = store->shard_count == 0;
    store->shard_count = SL_MAX(store->shard_count, 1u);
    qsort(store->shards, store->shard_count, sizeof(store->shards[0]), number_compare);
    store->catalog = catalog_new(&(struct catalog_limits){0}, &store->settings, NULL, NULL);
    if (store->catalog == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    return CLI_OK;
}

void cli_store_close(struct cli_store *store)
{
    store->catalog = catalog_free(store->catalog);
}

void cli_store_shard_path(const struct cli_store *store, uint32_t index,
                          char ret_path[STORE_PATH_BYTES])
{
    SL_ASSERT(index < store->shard_count);
    if (store->is_shard) {
        snprintf(ret_path, STORE_PATH_BYTES, "%s", store->directory);
    } else {
        snprintf(ret_path, STORE_PATH_BYTES, "%.900s/shard-%u", store->directory,
                 store->shards[index]);
    }
}

bool cli_store_lock(const struct cli_store *store, struct sl_file **ret_lock)
{
    char path[STORE_PATH_BYTES];
    snprintf(path, sizeof(path), "%.900s%s/lock", store->directory, store->is_shard ? "/.." : "");
    *ret_lock = NULL;
    if (sl_file_open(store->cli->os, path, SL_FILE_WRITE, ret_lock) != SLUICE_OK) {
        return true;
    }
    return sl_file_lock(*ret_lock) != SLUICE_E_LOCKED;
}

void cli_store_pin(const struct cli_store *store, struct cli_store_pin *ret_pin)
{
    static const char request[] = "{\"id\":1,\"command\":\"backup.begin\"}\n";
    char address[STORE_PATH_BYTES + 32], answer[64];
    size_t got = 0;
    *ret_pin = (struct cli_store_pin){.link = {.cli = store->cli, .descriptor = -1}};
    snprintf(address, sizeof(address), "unix:%.900s%s/../sluice.sock", store->directory,
             store->is_shard ? "/.." : "");
    if (sl_connect(store->cli->os, address, &ret_pin->link.descriptor) != SLUICE_OK) {
        return;
    }
    ret_pin->is_held =
        sl_descriptor_write(ret_pin->link.descriptor, request, strlen(request)) == SLUICE_OK &&
        sl_descriptor_read(ret_pin->link.descriptor, answer, sizeof(answer), &got) == SLUICE_OK;
    if (!ret_pin->is_held) {
        sl_descriptor_close(ret_pin->link.descriptor);
    }
}

void cli_store_unpin(struct cli_store_pin *pin)
{
    if (pin->is_held) {
        sl_descriptor_close(pin->link.descriptor); /* with it the broker takes them back */
        pin->is_held = false;
    }
}

/* ---- the log of a shard ---- */

struct log_reading {
    struct cli_store *store;
    struct cli_store_log *log;
    uint64_t checkpoint_lsn;
    bool in_frames;
};

static sl_err extent_take(struct cli_store_log *log, const struct extent_item *item)
{
    if (log->extent_count == log->extent_capacity) {
        uint32_t capacity = SL_MAX(log->extent_capacity * 2, 64u);
        struct extent_item *grown = sl_realloc(log->extents, capacity * sizeof(*grown));
        if (grown == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        log->extents = grown;
        log->extent_capacity = capacity;
    }
    log->extents[log->extent_count++] = *item;
    return SLUICE_OK;
}

static void extent_forget(struct cli_store_log *log, uint64_t id)
{
    for (uint32_t i = 0; i < log->extent_count; i++) {
        if (log->extents[i].id == id) {
            memmove(&log->extents[i], &log->extents[i + 1],
                    (log->extent_count - i - 1) * sizeof(log->extents[0]));
            log->extent_count--;
            return;
        }
    }
}

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    struct log_reading *reading = arg;
    reading->checkpoint_lsn = checkpoint->lsn;
    return SLUICE_OK;
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    struct log_reading *reading = arg;
    (void)segment;
    (void)position;
    (void)frame;
    reading->in_frames = true;
    return SLUICE_OK;
}

/* What is in the checkpoint already would come a second time in frames. */
static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    struct log_reading *reading = arg;
    struct extent_item extent;
    uint64_t id = 0;
    sl_err err = SLUICE_OK;
    (void)place;
    if (reading->in_frames && lsn <= reading->checkpoint_lsn) {
        return SLUICE_OK;
    }
    switch (item->kind) {
    case WAL_ITEM_TOPIC_CREATE:
    case WAL_ITEM_TOPIC_DELETE:
    case WAL_ITEM_TOPIC_CONFIG:
    case WAL_ITEM_TOPIC_GROW:
        err = catalog_apply(reading->store->catalog, item->kind, item->version, item->payload);
        return err == SLUICE_E_NO_MEMORY ? err : SLUICE_OK; /* names are a courtesy here */
    case WAL_ITEM_EXTENT:
        err = extent_item_decode(item->version, item->payload, &extent);
        return err != SLUICE_OK ? err : extent_take(reading->log, &extent);
    case WAL_ITEM_EXTENT_DROP:
        err = extent_drop_item_decode(item->version, item->payload, &id);
        if (err == SLUICE_OK) {
            extent_forget(reading->log, id);
        }
        return err;
    default:
        return SLUICE_OK;
    }
}

void cli_store_log_read(struct cli_store *store, uint32_t index, struct cli_store_log *ret_log)
{
    static const struct wal_inspect_events events = {on_checkpoint, on_frame, on_item, NULL};
    char path[STORE_PATH_BYTES];
    struct cli_store_log log = {.extents = NULL};
    cli_store_shard_path(store, index, path);
    for (uint32_t i = 0; i < LOG_TRIES && !log.known; i++) {
        struct log_reading reading = {.store = store, .log = &log};
        log.extent_count = 0;
        log.known =
            wal_inspect(store->cli->os, path, false, &events, &reading, &log.report) == SLUICE_OK;
    }
    *ret_log = log;
}

void cli_store_log_free(struct cli_store_log *log)
{
    sl_free(log->extents);
    memset(log, 0, sizeof(*log));
}

const struct extent_item *cli_store_log_find(const struct cli_store_log *log, uint64_t id)
{
    for (uint32_t i = 0; i < log->extent_count; i++) {
        if (log->extents[i].id == id) {
            return &log->extents[i];
        }
    }
    return NULL;
}

const char *cli_store_topic(const struct cli_store *store, const struct sl_uuid *id,
                            char ret_name[STORE_NAME_BYTES])
{
    const struct topic *topic = catalog_by_id(store->catalog, id);
    if (topic != NULL) {
        snprintf(ret_name, STORE_NAME_BYTES, "%s", (const char *)topic->name.data);
    } else {
        sl_uuid_text(id, ret_name);
    }
    return ret_name;
}

/* ---- output ---- */

void cli_u64_add(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    cJSON_AddStringToObject(object, key, text);
}

void cli_i64_add(cJSON *object, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_AddStringToObject(object, key, text);
}

cJSON *cli_event_new(const char *kind)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "event", kind);
    return object;
}

static const char *event_colour(const struct cli *cli, const char *kind)
{
    static const struct {
        const char *kind, *colour;
    } colours[] = {{"sound", "\x1b[32m"},   {"damaged", "\x1b[31m"}, {"missing", "\x1b[31m"},
                   {"lost", "\x1b[31m"},    {"orphan", "\x1b[33m"},  {"unknown", "\x1b[33m"},
                   {"unnamed", "\x1b[33m"}, {"damage", "\x1b[31m"}};
    for (size_t i = 0; cli->colour && i < SL_COUNT_OF(colours); i++) {
        if (strcmp(kind, colours[i].kind) == 0) {
            return colours[i].colour;
        }
    }
    return NULL;
}

void cli_event_write(const struct cli *cli, cJSON *object)
{
    const cJSON *member;
    char text[1024];
    if (cli->options.json) {
        cli_json_write(object);
        cJSON_Delete(object);
        return;
    }
    cJSON_ArrayForEach(member, object)
    {
        bool first = member == object->child;
        const char *value = cli_member_text(object, member->string, text);
        const char *colour = first ? event_colour(cli, value) : NULL;
        printf("%s%s%s%s%s%s", first ? "" : " ", first ? "" : member->string, first ? "" : "=",
               colour != NULL ? colour : "", value, colour != NULL ? "\x1b[0m" : "");
    }
    putchar('\n');
    cJSON_Delete(object);
}

/* ---- progress ---- */

void cli_progress_begin_count(struct cli_progress *progress, struct cli *cli, const char *what,
                              uint64_t total, const char *unit)
{
    cli_progress_begin(progress, cli, what, total);
    progress->unit = unit;
}

void cli_progress_begin(struct cli_progress *progress, struct cli *cli, const char *what,
                        uint64_t total)
{
    *progress = (struct cli_progress){
        .cli = cli,
        .what = what,
        .total = total,
        .begun_ns = sl_os_mono_ns(cli->os),
        .shows = total > 0 && !cli->options.json,
        .is_bar = sl_descriptor_is_terminal(2),
    };
    progress->shown_ns = progress->begun_ns;
}

static const char *left_text(double seconds, char ret_text[32])
{
    if (seconds < 1) {
        return "";
    }
    uint32_t whole = (uint32_t)SL_MIN(seconds, 359999.0);
    if (whole >= 3600) {
        snprintf(ret_text, 32, "%u h %02u min left", whole / 3600, whole / 60 % 60);
    } else if (whole >= 60) {
        snprintf(ret_text, 32, "%u min %02u s left", whole / 60, whole % 60);
    } else {
        snprintf(ret_text, 32, "%u s left", whole);
    }
    return ret_text;
}

/* "1.0 of 8.0 MiB  3.1 MiB/s", "3 of 14 parts" */
static void amount_text(const struct cli_progress *progress, double seconds, char ret_text[96])
{
    if (progress->unit != NULL) {
        snprintf(ret_text, 96, "%llu of %llu %s", (unsigned long long)progress->done,
                 (unsigned long long)progress->total, progress->unit);
        return;
    }
    double done = (double)progress->done / 1048576, total = (double)progress->total / 1048576;
    int size = snprintf(ret_text, 96, "%.1f of %.1f MiB", done, total);
    if (progress->is_bar && seconds > 0) {
        snprintf(ret_text + size, 96 - (size_t)size, "  %.1f MiB/s", done / seconds);
    }
}

static void progress_show(struct cli_progress *progress, int64_t now_ns)
{
    char bar[PROGRESS_BARS + 1];
    char text[32];
    double seconds = (double)(now_ns - progress->begun_ns) / 1e9;
    double part = SL_MIN((double)progress->done / (double)progress->total, 1.0);
    size_t filled = (size_t)(part * PROGRESS_BARS);
    memset(bar, '.', PROGRESS_BARS);
    memset(bar, '#', filled);
    bar[PROGRESS_BARS] = '\0';
    double rate = seconds > 0 ? (double)progress->done / seconds : 0;
    double left = rate > 0 ? ((double)progress->total - (double)progress->done) / rate : 0;
    char amount[96];
    amount_text(progress, seconds, amount);
    if (!progress->is_bar) {
        fprintf(stderr, "%s: %.0f %%, %s%s%s\n", progress->what, part * 100, amount,
                left > 0 ? ", " : "", left_text(left, text));
    } else {
        fprintf(stderr, "\r%s [%s] %3.0f %%  %s  %s\x1b[K", progress->what, bar, part * 100, amount,
                left_text(left, text));
    }
    progress->shown_ns = now_ns;
}

void cli_progress_add(struct cli_progress *progress, uint64_t bytes)
{
    cli_progress_set(progress, progress->done + bytes);
}

void cli_progress_set(struct cli_progress *progress, uint64_t done)
{
    progress->done = done;
    if (!progress->shows) {
        return;
    }
    int64_t now_ns = sl_os_mono_ns(progress->cli->os);
    if (now_ns - progress->shown_ns >= (progress->is_bar ? PROGRESS_NS : PROGRESS_LINE_NS)) {
        progress_show(progress, now_ns);
    }
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->shows && progress->is_bar) {
        fputs("\r\x1b[K", stderr);
    }
}
