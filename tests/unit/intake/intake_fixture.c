/* intake_fixture.c: see intake_fixture.h. */
#include "intake_fixture.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WRITE_AT_ONCE (64u << 10)

static struct fixture *current; /* a test is a process of its own */

/* ---- the frontend ---- */

static sluice_status fake_create(const struct sluice_host *host, void **ret_self)
{
    struct fake_frontend *fake = &current->fake;
    struct fake_instance *instance = calloc(1, sizeof(*instance));
    instance->frontend = fake;
    instance->io = host->get_extension(host, SLUICE_EXT_FRONTEND);
    instance->upgrade = host->get_extension(host, SLUICE_EXT_UPGRADE);
    cr_assert(instance->io != NULL && instance->upgrade != NULL);
    cr_assert_eq(host->get_extension(host, SLUICE_EXT_BROKER), &current->broker);
    cr_assert_null(host->get_extension(host, "sluice.no_such_thing/1"));
    fake->io = fake->io == NULL ? instance->io : fake->io;
    fake->created++;
    *ret_self = instance;
    return SLUICE_OK;
}

static void fake_destroy(void *self)
{
    struct fake_instance *instance = self;
    struct fake_frontend *fake = instance->frontend;
    fake->destroyed++;
    cr_assert(fake->opened == fake->closed || fake->destroyed < fake->created);
    free(instance);
}

static sluice_status fake_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn)
{
    struct fake_instance *instance = self;
    struct fake_frontend *fake = instance->frontend;
    if (fake->refuse_open) {
        return SLUICE_E_LIMIT;
    }
    struct fake_connection *conn = calloc(1, sizeof(*conn));
    conn->instance = instance;
    conn->frontend = fake;
    conn->token = connection->token;
    SL_ASSERT(connection->size == sizeof(*connection));
    SL_ASSERT((connection->tls_version.size > 0) == fake->is_secure);
    SL_ASSERT(sl_bytes_equal(sl_of_text(connection->local_address), sl_bytes_of_text("unix")));
    fake->last_token = connection->token;
    fake->opened++;
    *ret_conn = conn;
    return SLUICE_OK;
}

static void fake_closed(void *self, void *state)
{
    ((struct fake_instance *)self)->frontend->closed++;
    free(state);
}

static sluice_status put(struct fake_connection *conn, const void *bytes, size_t size,
                         uint64_t token)
{
    const struct sluice_frontend_host *io = conn->instance->io;
    struct sluice_piece piece = {{bytes, size}, token};
    return io->conn_write(io, conn->token, &piece, 1);
}

static void put_many(struct fake_connection *conn, uint32_t size)
{
    static uint8_t bytes[WRITE_AT_ONCE];
    memset(bytes, 'w', sizeof(bytes));
    struct fake_frontend *fake = conn->frontend;
    struct fake_connection gone = *conn; /* it may be closed meanwhile */
    while (size > 0 && fake->written == SLUICE_OK) {
        uint32_t now = SL_MIN(size, WRITE_AT_ONCE);
        fake->written = put(&gone, bytes, now, 0);
        size -= now;
    }
}

/* As a fetch's done does: the chunk is named while the call lasts. */
static void put_reference(struct fake_connection *conn, uint32_t size)
{
    struct chunk *chunk = NULL;
    cr_assert_eq(chunk_new(&current->cache, size, &chunk), SLUICE_OK);
    memset(chunk->data, 'r', chunk->size);
    intake_set_tokens(&current->intake, &chunk, 1);
    conn->frontend->written = put(conn, chunk->data, size, 1);
    intake_set_tokens(&current->intake, NULL, 0);
    chunk_unref(chunk);
}

/* ---- a codec ---- */

struct fake_codec {
    struct fake_frontend *frontend;
    bool asked;
    bool ended;
};

static sluice_status codec_decode(void *state, uint8_t *data, uint64_t size, uint64_t *ret_size)
{
    struct fake_codec *codec = state;
    uint64_t out = 0;
    for (uint64_t i = 0; i < size && !codec->ended; i++) {
        codec->asked = codec->asked || data[i] == 'P';
        codec->ended = data[i] == 'Q';
        if (data[i] != 'P' && data[i] != 'Q') {
            data[out++] = data[i] ^ FIXTURE_XOR;
        }
    }
    *ret_size = out;
    return codec->ended ? SLUICE_E_CANCELLED : SLUICE_OK;
}

static uint64_t codec_head(void *state, uint64_t size, uint8_t *ret_head)
{
    struct fake_codec *codec = state;
    uint64_t used = 0;
    if (codec->asked) {
        ret_head[used++] = 'p';
        codec->asked = false;
    }
    if (size > 0) {
        ret_head[used++] = 'H';
    }
    return used;
}

static uint64_t codec_tail(void *state, int32_t why, uint8_t *ret_tail)
{
    (void)state;
    *ret_tail = why == SLUICE_CODEC_AWAY ? 'A' : 'E';
    return 1;
}

static void codec_free(void *state)
{
    struct fake_codec *codec = state;
    codec->frontend->codecs--;
    free(codec);
}

static void upgrade(struct fake_connection *conn)
{
    static const struct sluice_codec codec = {sizeof(codec), 0,          codec_decode,
                                              codec_head,    codec_tail, codec_free};
    struct fake_frontend *fake = conn->frontend;
    const struct sluice_upgrade_host *host = conn->instance->upgrade;
    struct fake_codec *state = calloc(1, sizeof(*state));
    state->frontend = fake;
    sluice_status status = host->hand_over(host, conn->token, "fake.1", &codec, state,
                                           (struct sluice_bytes){(const uint8_t *)"over", 4});
    fake->codecs++;
    if (status != SLUICE_OK) {
        uint8_t number[4];
        codec_free(state);
        sl_le32_store(number, (uint32_t)status);
        (void)put(conn, number, sizeof(number), 0);
    }
}

static void fake_leaving(void *self, void *state)
{
    if (((struct fake_instance *)self)->frontend->says_bye) {
        (void)put(state, "bye", 3, 0);
    }
}

/* Returns whether the frame is taken. */
static bool obey(struct fake_connection *conn, const uint8_t *frame, uint32_t size,
                 sluice_status *ret_status)
{
    const struct sluice_frontend_host *io = conn->instance->io;
    uint32_t number = size >= 9 ? sl_le32_load(frame + 5) : 0;
    switch (frame[4]) {
    case 'e':
        (void)put(conn, frame, size, 0);
        conn->frontend->queued = io->conn_queued(io, conn->token);
        return true;
    case 'w':
        put_many(conn, number);
        return true;
    case 'r':
        put_reference(conn, number);
        return true;
    case 'p':
        io->conn_pause(io, conn->token);
        return true;
    case 'z':
        conn->zig = !conn->zig;
        if (conn->zig) {
            io->conn_pause(io, conn->token);
            io->conn_resume(io, conn->token);
        }
        return !conn->zig;
    case 'd':
        conn_produce_begins(intake_find(&current->intake, conn->token));
        return true;
    case 'u':
        upgrade(conn);
        return true;
    case 'c':
        io->conn_close(io, conn->token);
        return true;
    case 't':
        conn->frontend->written = io->conn_write(io, conn->frontend->stale_token,
                                                 &(struct sluice_piece){{frame, 1}, 0}, 1);
        io->conn_close(io, conn->frontend->stale_token);
        io->conn_pause(io, conn->frontend->stale_token);
        io->conn_resume(io, conn->frontend->stale_token);
        (void)put(conn, frame, size, 0);
        return true;
    default:
        *ret_status = SLUICE_E_MALFORMED;
        return true;
    }
}

/* One frame a call, as a frontend does whose answers may be large. */
static sluice_status fake_input(void *self, void *state, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    struct fake_connection *conn = state;
    struct fake_frontend *fake = ((struct fake_instance *)self)->frontend;
    sluice_status status = SLUICE_OK;
    fake->inputs++;
    if (fake->ask_too_much) {
        *ret_wanted = FIXTURE_REQUEST_BYTES_MAX + 1;
        return SLUICE_OK;
    }
    if (input.size < 4) {
        *ret_wanted = 4;
        return SLUICE_OK;
    }
    uint32_t size = sl_le32_load(input.data) + 4;
    if (input.size < size) {
        *ret_wanted = size;
        return SLUICE_OK;
    }
    fake->frames++;
    fake->in_a_row = fake->last == conn ? fake->in_a_row + 1 : 1;
    fake->most_in_a_row = SL_MAX(fake->most_in_a_row, fake->in_a_row);
    fake->last = conn;
    *ret_consumed = obey(conn, input.data, size, &status) ? size : 0;
    return status;
}

static const char *const fake_protocols[] = {"fake.0", "fake.1", NULL};
static const struct sluice_frontend fake_ops = {.size = sizeof(fake_ops),
                                                .create = fake_create,
                                                .destroy = fake_destroy,
                                                .conn_open = fake_open,
                                                .conn_input = fake_input,
                                                .conn_closed = fake_closed,
                                                .conn_leaving = fake_leaving,
                                                .protocols = fake_protocols};

static const struct sluice_plugin_descriptor fake_descriptor = {.size = sizeof(fake_descriptor),
                                                                .magic = SLUICE_PLUGIN_MAGIC,
                                                                .abi_major = SLUICE_ABI_MAJOR,
                                                                .abi_minor = SLUICE_ABI_MINOR,
                                                                .kind = SLUICE_KIND_FRONTEND,
                                                                .id = "fake",
                                                                .version = "1.0.0",
                                                                .entry = &fake_ops};

/* ---- the loop ---- */

struct errand {
    struct sl_task task;
    struct fixture *fixture;
    void (*fn)(struct fixture *fixture);
    sem_t ended;
};

static void errand_run(struct sl_task *task)
{
    struct errand *errand = SL_CONTAINER_OF(task, struct errand, task);
    errand->fn(errand->fixture);
    sem_post(&errand->ended);
}

void fixture_on_loop(struct fixture *fixture, void (*fn)(struct fixture *fixture))
{
    struct errand errand = {.fixture = fixture, .fn = fn};
    errand.task = (struct sl_task){.run = errand_run, .priority = SL_PRIORITY_BACKGROUND};
    sem_init(&errand.ended, 0, 0);
    sl_loop_post(fixture->loop, &errand.task);
    while (sem_wait(&errand.ended) != 0) {
    }
    sem_destroy(&errand.ended);
}

static void on_cancel(void *arg, uint64_t connection)
{
    struct fixture *fixture = arg;
    fixture->cancels++;
    fixture->cancelled = connection;
}

static bool on_calls_pending(void *arg)
{
    return ((struct fixture *)arg)->calls_pending;
}

struct frontend *fixture_add_frontend(struct fixture *fixture, struct listener *listener)
{
    struct frontend_config config = {.name = "fake",
                                     .config_json = "{\"listen\":\"here\",\"deep\":{\"er\":7}}",
                                     .request_bytes_max = FIXTURE_REQUEST_BYTES_MAX,
                                     .listener = listener};
    struct frontend *frontend = NULL;
    char reason[256] = "";
    cr_assert_eq(frontend_new(&fixture->intake, &fake_descriptor, &config, &frontend, reason,
                              sizeof(reason)),
                 SLUICE_OK, "%s", reason);
    return frontend;
}

static uint32_t slots_wanted;

static void open_on_loop(struct fixture *fixture)
{
    cr_assert_eq(intake_init(&fixture->intake, fixture->os, fixture->loop, NULL, &fixture->cache,
                             &fixture->broker, slots_wanted, FIXTURE_DECOMPRESSED_BYTES_MAX),
                 SLUICE_OK);
    fixture->intake.cancel = on_cancel;
    fixture->intake.cancel_arg = fixture;
    fixture->intake.calls_pending = on_calls_pending;
    fixture->intake.calls_pending_arg = fixture;
    fixture->frontend = fixture_add_frontend(fixture, NULL);
}

void fixture_open(struct fixture *fixture, uint64_t budget_bytes, uint32_t connections_max)
{
    memset(fixture, 0, sizeof(*fixture));
    current = fixture;
    slots_wanted = connections_max;
    cr_assert_eq(sl_os_uv_new(1, &fixture->os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(fixture->os, "loop", -1, &fixture->loop), SLUICE_OK);
    chunk_cache_init(&fixture->cache, fixture->loop, budget_bytes);
    cr_assert_eq(sl_loop_start(fixture->loop), SLUICE_OK);
    fixture_on_loop(fixture, open_on_loop);
}

static void drain(struct fixture *fixture)
{
    if (fixture->frontend != NULL) {
        frontend_drain(fixture->frontend);
        fixture->frontend = NULL;
    }
    intake_abort(&fixture->intake);
}

static bool is_empty(struct fixture *fixture)
{
    return intake_is_empty(&fixture->intake) && fixture->fake.destroyed == fixture->fake.created;
}

void fixture_close(struct fixture *fixture)
{
    fixture_on_loop(fixture, drain);
    cr_assert(fixture_wait(fixture, is_empty));
    sl_loop_stop(fixture->loop);
    sl_loop_join(fixture->loop);
    intake_fini(&fixture->intake);
    chunk_cache_fini(&fixture->cache); /* asserts that nothing is lent */
    sl_loop_free(fixture->loop);
    sl_os_free(fixture->os);
}

struct look {
    bool (*holds)(struct fixture *fixture);
    bool held;
};
static struct look look;

static void look_on_loop(struct fixture *fixture)
{
    look.held = look.holds(fixture);
}

bool fixture_wait(struct fixture *fixture, bool (*holds)(struct fixture *fixture))
{
    look = (struct look){.holds = holds};
    for (int i = 0; i < 10000 && !look.held; i++) {
        fixture_on_loop(fixture, look_on_loop);
        if (!look.held) {
            usleep(1000);
        }
    }
    return look.held;
}

static int given_descriptor;

static void start_on_loop(struct fixture *fixture)
{
    conn_start(&fixture->intake, fixture->frontend, NULL, given_descriptor, "peer:1");
}

int fixture_connect(struct fixture *fixture)
{
    int pair[2];
    struct timeval patience = {.tv_sec = 20};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int little = 1; /* so that answers wait in the connection's own queue */
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
    given_descriptor = pair[0];
    fixture_on_loop(fixture, start_on_loop);
    return pair[1];
}

static void resume_on_loop(struct fixture *fixture)
{
    fixture->fake.io->conn_resume(fixture->fake.io, fixture->fake.last_token);
}

void fixture_resume(struct fixture *fixture)
{
    fixture_on_loop(fixture, resume_on_loop);
}

/* ---- the peer ---- */

bool fixture_answers(int peer)
{
    uint8_t frame[16], back[16];
    size_t size = fixture_frame(frame, 'e', "still", 5);
    fixture_send(peer, frame, size);
    return fixture_receive(peer, back, size) && memcmp(frame, back, size) == 0;
}

void fixture_send_number(int peer, char command, uint32_t number)
{
    uint8_t frame[16];
    uint8_t argument[4];
    sl_le32_store(argument, number);
    fixture_send(peer, frame, fixture_frame(frame, command, argument, sizeof(argument)));
}

void fixture_send_command(int peer, char command)
{
    uint8_t frame[8];
    fixture_send(peer, frame, fixture_frame(frame, command, NULL, 0));
}

size_t fixture_frame(uint8_t *into, char command, const void *argument, size_t size)
{
    sl_le32_store(into, (uint32_t)size + 1);
    into[4] = (uint8_t)command;
    if (size > 0) {
        memcpy(into + 5, argument, size);
    }
    return size + 5;
}

void fixture_send(int peer, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t put_now = send(peer, (const char *)bytes + at, size - at, MSG_NOSIGNAL);
        cr_assert_gt(put_now, 0, "the connection took %zu of %zu bytes", at, size);
        at += (size_t)put_now;
    }
}

bool fixture_receive(int peer, void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = recv(peer, (char *)bytes + at, size - at, 0);
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

bool fixture_is_closed(int peer)
{
    char bytes[65536];
    ssize_t got;
    while ((got = recv(peer, bytes, sizeof(bytes), 0)) > 0) {
    }
    return got == 0 || (got < 0 && errno == ECONNRESET);
}
