/* frontend_line: topics over a line protocol, for `nc`.
 *
 *   PUB <topic>[/<partition>] <text>             OK <partition> <offset>
 *   GET <topic>[/<partition>] <offset> [<count>]  <offset> <text>, a line each, then . <next
 * offset> PING                                         PONG QUIT closes
 *
 * What goes wrong is answered ERR <sentence>. Requests are answered in order: while the broker is
 * at work for a connection its input is paused, so that a peer has one request under way. A line
 * has at most 64 KiB. All calls come on one loop thread. */
#include <sluice/sluice.h>
#include <sluice/status_row.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX  65536u
#define GET_COUNT       10u
#define GET_COUNT_MAX   1000u
#define FETCH_BYTES_MAX 262144
#define TIMEOUT_MS      30000

SLUICE_MANIFEST(
    "{\"id\":\"frontend_line\",\"version\":\"1.0.0\",\"kind\":\"frontend\","
    "\"config\":{\"type\":\"object\",\"properties\":{\"listen\":{\"type\":\"string\"}}}}");

struct line_frontend {
    const struct sluice_frontend_host *io;
    const struct sluice_broker *broker;
    const struct sluice_records_host *records;
};

/* A connection. Lives until the peer is gone and the broker has answered what it asked. */
struct peer {
    const struct line_frontend *frontend;
    uint64_t token;
    bool gone;     /* the connection is; only `done` is waited for */
    bool waiting;  /* for the broker, or telling its answer: whoever waits frees */
    uint32_t left; /* records that GET still wants */
    int64_t offset;
    struct sluice_context context;
    char client_host[64];
};

/* ---- answers ---- */

static void answer(const struct peer *peer, const char *text, size_t size)
{
    struct sluice_piece pieces[2] = {{{(const uint8_t *)text, size}, 0},
                                     {{(const uint8_t *)"\r\n", 2}, 0}};
    if (peer->gone) {
        return; /* an answer before this one failed */
    }
    /* A failure means that the connection is gone: conn_closed said so, inside of this call. */
    (void)peer->frontend->io->conn_write(peer->frontend->io, peer->token, pieces, 2);
}

static void answer_error(const struct peer *peer, const char *what, struct sluice_text why)
{
    char line[256];
    int size = snprintf(line, sizeof(line), "ERR %s%s%.*s", what, why.size > 0 ? ": " : "",
                        (int)(why.size < 160 ? why.size : 160), why.data);
    answer(peer, line, (size_t)size);
}

static const char *sentence_of(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? "unknown failure" : row->text;
}

static void wait_begins(struct peer *peer)
{
    peer->waiting = true;
    peer->frontend->io->conn_pause(peer->frontend->io, peer->token);
}

/* The broker has answered. False: nobody is there to be told. */
static bool is_there(struct peer *peer)
{
    if (peer->gone) {
        free(peer);
        return false;
    }
    return true;
}

/* It was told, or went away meanwhile. */
static void wait_ends(struct peer *peer)
{
    if (!is_there(peer)) {
        return;
    }
    peer->waiting = false;
    peer->frontend->io->conn_resume(peer->frontend->io, peer->token);
}

/* ---- words of a line ---- */

/* Cuts the next word off *rest; false: there is none. */
static bool word_take(struct sluice_text *rest, struct sluice_text *ret_word)
{
    const char *space = (const char *)memchr(rest->data, ' ', (size_t)rest->size);
    ret_word->data = rest->data;
    ret_word->size = space != NULL ? (uint64_t)(space - rest->data) : rest->size;
    uint64_t used = ret_word->size + (space != NULL ? 1 : 0);
    rest->data += used;
    rest->size -= used;
    return ret_word->size > 0;
}

static bool number_take(struct sluice_text word, int64_t max, int64_t *ret_number)
{
    int64_t number = 0;
    for (uint64_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || number > max / 10) {
            return false;
        }
        number = number * 10 + (word.data[i] - '0');
    }
    *ret_number = number;
    return word.size > 0 && number <= max;
}

/* "topic" or "topic/3" */
static bool place_take(struct sluice_text word, struct sluice_topic_ref *ret_topic,
                       int32_t *ret_partition)
{
    const char *slash = (const char *)memchr(word.data, '/', (size_t)word.size);
    int64_t partition = 0;
    memset(ret_topic, 0, sizeof(*ret_topic));
    ret_topic->name = word;
    if (slash != NULL) {
        struct sluice_text digits = {slash + 1, word.size - (uint64_t)(slash + 1 - word.data)};
        ret_topic->name.size = (uint64_t)(slash - word.data);
        if (!number_take(digits, INT32_MAX, &partition)) {
            return false;
        }
    }
    *ret_partition = (int32_t)partition;
    return ret_topic->name.size > 0;
}

/* ---- PUB ---- */

static void published(void *arg, const struct sluice_produce_result *results, uint32_t count,
                      int32_t throttle_ms)
{
    struct peer *peer = (struct peer *)arg;
    (void)count;
    (void)throttle_ms;
    if (!is_there(peer)) {
        return;
    }
    if (results[0].status != SLUICE_OK) {
        answer_error(peer, sentence_of(results[0].status), results[0].reason);
    } else {
        char line[64];
        int size = snprintf(line, sizeof(line), "OK %" PRId64 " %" PRId64, peer->offset,
                            results[0].base_offset);
        answer(peer, line, (size_t)size);
    }
    wait_ends(peer);
}

static void publish(struct peer *peer, struct sluice_text rest)
{
    const struct line_frontend *self = peer->frontend;
    struct sluice_text word;
    struct sluice_produce_entry entry = {0};
    struct sluice_record record = {.size = sizeof(record), .timestamp = -1};
    if (!word_take(&rest, &word) || !place_take(word, &entry.topic, &entry.partition)) {
        answer_error(peer, "PUB wants <topic>[/<partition>] <text>", sluice_text_of(""));
        return;
    }
    record.value.data = (const uint8_t *)rest.data;
    record.value.size = rest.size;
    sluice_status status =
        self->records->build(self->records, &record, 1, sizeof(record), &entry.batch);
    if (status != SLUICE_OK) {
        answer_error(peer, sentence_of(status), sluice_text_of(""));
        return;
    }
    struct sluice_produce request = {.size = sizeof(request),
                                     .acks = -1,
                                     .timeout_ms = TIMEOUT_MS,
                                     .entry_count = 1,
                                     .entries = &entry};
    peer->offset = entry.partition; /* for the answer */
    wait_begins(peer);
    self->broker->produce(self->broker, &peer->context, &request, published, peer);
}

/* ---- GET ---- */

/* One record as a line; what would end or hide the line is shown as a dot. */
static bool show_record(void *arg, const struct sluice_record *record)
{
    struct peer *peer = (struct peer *)arg;
    char line[1024];
    int size = snprintf(line, sizeof(line), "%" PRId64 " ", record->offset);
    for (uint64_t i = 0; i < record->value.size && (size_t)size < sizeof(line); i++) {
        uint8_t c = record->value.data[i];
        line[size++] = (char)(c < 0x20 || c == 0x7f ? '.' : c);
    }
    answer(peer, line, (size_t)size);
    peer->left--;
    return peer->left > 0 && !peer->gone;
}

static void fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct peer *peer = (struct peer *)arg;
    const struct sluice_records_host *records = peer->frontend->records;
    (void)count;
    (void)throttle_ms;
    if (!is_there(peer)) {
        return;
    }
    int64_t next = peer->offset;
    sluice_status status = results[0].status;
    if (status == SLUICE_OK) {
        status = records->each(records, results[0].records, peer->offset, show_record, peer, &next);
    }
    if (status != SLUICE_OK) {
        answer_error(peer, sentence_of(status), sluice_text_of(""));
    } else {
        char line[32];
        int size = snprintf(line, sizeof(line), ". %" PRId64, next);
        answer(peer, line, (size_t)size);
    }
    wait_ends(peer);
}

static void get(struct peer *peer, struct sluice_text rest)
{
    const struct line_frontend *self = peer->frontend;
    struct sluice_text word;
    struct sluice_fetch_entry entry = {.leader_epoch = -1, .bytes_max = FETCH_BYTES_MAX};
    int64_t wanted = GET_COUNT;
    if (!word_take(&rest, &word) || !place_take(word, &entry.topic, &entry.partition) ||
        !word_take(&rest, &word) || !number_take(word, INT64_MAX, &entry.offset) ||
        (word_take(&rest, &word) && !number_take(word, GET_COUNT_MAX, &wanted)) || wanted == 0) {
        answer_error(peer, "GET wants <topic>[/<partition>] <offset> [<count up to 1000>]",
                     sluice_text_of(""));
        return;
    }
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = FETCH_BYTES_MAX,
                                   .isolation = SLUICE_ISOLATION_COMMITTED,
                                   .entry_count = 1,
                                   .entries = &entry};
    peer->offset = entry.offset;
    peer->left = (uint32_t)wanted;
    wait_begins(peer);
    self->broker->fetch(self->broker, &peer->context, &request, fetched, peer);
}

/* ---- the other words ---- */

static void ping(struct peer *peer, struct sluice_text rest)
{
    (void)rest;
    answer(peer, "PONG", 4);
}

static void quit(struct peer *peer, struct sluice_text rest)
{
    (void)rest;
    peer->frontend->io->conn_close(peer->frontend->io, peer->token);
}

static void handle_line(struct peer *peer, struct sluice_text line)
{
    static const struct {
        const char *name;
        void (*run)(struct peer *peer, struct sluice_text rest);
    } words[] = {
        {"PUB", publish},
        {"GET", get},
        {"PING", ping},
        {"QUIT", quit},
    };
    struct sluice_text word;
    (void)word_take(&line, &word);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].name) == word.size &&
            memcmp(words[i].name, word.data, (size_t)word.size) == 0) {
            words[i].run(peer, line);
            return;
        }
    }
    answer_error(peer, "PUB, GET, PING and QUIT are what I know", sluice_text_of(""));
}

/* ---- the frontend ---- */

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct line_frontend *self = (struct line_frontend *)calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->io = (const struct sluice_frontend_host *)host->get_extension(host, SLUICE_EXT_FRONTEND);
    self->broker = (const struct sluice_broker *)host->get_extension(host, SLUICE_EXT_BROKER);
    self->records =
        (const struct sluice_records_host *)host->get_extension(host, SLUICE_EXT_RECORDS);
    *ret_self = self;
    return SLUICE_OK;
}

static sluice_status conn_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn)
{
    struct peer *peer = (struct peer *)calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    peer->frontend = (const struct line_frontend *)self;
    peer->token = connection->token;
    /* The context's texts are borrowed for this call: what they say is kept, by copy. */
    peer->context = connection->context;
    snprintf(peer->client_host, sizeof(peer->client_host), "%.*s",
             (int)connection->context.client_host.size, connection->context.client_host.data);
    peer->context.client_host = sluice_text_of(peer->client_host);
    peer->context.principal = sluice_text_of("User:ANONYMOUS");
    peer->context.listener = sluice_text_of("line");
    peer->context.client_id = sluice_text_of("line");
    *ret_conn = peer;
    return SLUICE_OK;
}

/* One line a call: the host calls again while there is more, unless it is paused or the peer does
 * not read its answers. */
static sluice_status conn_input(void *self, void *conn, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    const uint8_t *end = (const uint8_t *)memchr(input.data, '\n', (size_t)input.size);
    (void)self;
    *ret_wanted = 0; /* a line may end with any byte */
    if (end == NULL) {
        *ret_consumed = 0;
        return input.size > LINE_BYTES_MAX ? SLUICE_E_FRAME_TOO_LARGE : SLUICE_OK;
    }
    struct sluice_text line = {(const char *)input.data, (uint64_t)(end - input.data)};
    *ret_consumed = line.size + 1;
    if (line.size > LINE_BYTES_MAX) {
        return SLUICE_E_FRAME_TOO_LARGE;
    }
    line.size -= line.size > 0 && line.data[line.size - 1] == '\r' ? 1 : 0;
    handle_line((struct peer *)conn, line);
    return SLUICE_OK;
}

static void conn_closed(void *self, void *conn)
{
    struct peer *peer = (struct peer *)conn;
    (void)self;
    peer->gone = true;
    if (!peer->waiting) {
        free(peer);
    }
}

static const struct sluice_frontend frontend = {
    .size = sizeof(frontend),
    .create = create,
    .destroy = free,
    .conn_open = conn_open,
    .conn_input = conn_input,
    .conn_closed = conn_closed,
};

static const char *const required_extensions[] = {SLUICE_EXT_FRONTEND, SLUICE_EXT_BROKER,
                                                  SLUICE_EXT_RECORDS, NULL};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_FRONTEND, .id = "frontend_line", .version = "1.0.0",
              .required_extensions = required_extensions, .entry = &frontend);
