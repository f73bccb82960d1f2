/* processor_lua: runs a Lua 5.4 script as a processor. An ordinary plugin, built against sdk/, Lua
 * and libffi alone.
 *
 * In: a script (extension "sluice.script/1"), a configuration, batches. Out: one verdict per
 * record. process returns the record (pass, or emit with its changes), nil (drop) or several; an
 * error or reject(reason) costs that record alone and names file and line. Each record is one
 * protected call on a reused userdata.
 *
 * When the deadline of a batch strikes, what is done stays done, a record that used it up by
 * computing is rejected, and the rest comes again (retry). A first record that was merely
 * interrupted comes again too, a few times: so every few calls make progress.
 *
 * Thread: any, one at a time. C memory is owned by struct lua_instance alone (see lua_instance.h).
 */
#include "lua_ffi.h"
#include "lua_instance.h"
#include "lua_json.h"
#include "lua_record.h"
#include "lua_sandbox.h"
#include "lua_script.h"
#include "lua_store.h"
#include "lua_work.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMORY_BYTES_DEFAULT (64u << 20) /* of a host that states no limit */
#define MEMORY_BYTES_MIN     (1u << 20)
#define SPARED_MAX           3u
#define RUN_STACK_SLOTS      64
#define NS_PER_MS            1000000
#define MS_PER_S             1000

SLUICE_MANIFEST("{\"id\":\"processor_lua\",\"version\":\"1.0.0\",\"kind\":\"processor\","
                "\"permissions\":[\"library *\",\"read_config\",\"write_metrics\"]}");

/* ---- lifecycle ---- */

static size_t memory_limit(const struct sluice_host *host)
{
    const struct sluice_limits *limits = host->get_extension(host, SLUICE_EXT_LIMITS);
    if (limits == NULL || limits->memory_bytes == 0) {
        return MEMORY_BYTES_DEFAULT;
    }
    uint64_t share = limits->memory_bytes - limits->memory_bytes / 4; /* the process needs some */
    return share < MEMORY_BYTES_MIN ? MEMORY_BYTES_MIN : (size_t)share;
}

static void destroy(void *data)
{
    struct lua_instance *self = data;
    lua_deadline_remove(&self->deadline);
    if (self->L != NULL) {
        lua_close(self->L);
    }
    lua_buffer_fini(&self->values[0]);
    lua_buffer_fini(&self->values[1]);
    lua_buffer_fini(&self->scratch);
    free(self->extra_outputs);
    free(self);
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct lua_instance *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    self->heap.limit = memory_limit(host);
    self->values[0].heap = &self->heap;
    self->values[1].heap = &self->heap;
    self->scratch.heap = &self->heap;
    self->refs.script = LUA_NOREF;
    self->L = lua_newstate(lua_heap_alloc, &self->heap);
    if (self->L == NULL) {
        free(self);
        return SLUICE_E_NO_MEMORY;
    }
    *(struct lua_instance **)lua_getextraspace(self->L) = self;
    *ret_self = self;
    return SLUICE_OK;
}

/* Protected. */
static int open_all(lua_State *L)
{
    lua_sandbox_open(L);
    lua_json_open(L);
    lua_record_open(L);
    lua_ffi_open(L);
    lua_store_open(L);
    lua_work_open(L);
    return 0;
}

static void report(const struct lua_instance *self)
{
    self->host->set_error(self->host, sluice_text_of(self->reason));
}

static const struct sluice_script *find_script(struct lua_instance *self)
{
    const struct sluice_script *script = self->host->get_extension(self->host, SLUICE_EXT_SCRIPT);
    if (script != NULL) {
        size_t size = script->file.size < sizeof(self->file) - 1 ? (size_t)script->file.size
                                                                 : sizeof(self->file) - 1;
        memcpy(self->file, script->file.data, size);
        self->file[size] = '\0';
    }
    return script;
}

static sluice_status init(void *data)
{
    struct lua_instance *self = data;
    const struct sluice_script *script = find_script(self);
    if (script == NULL) {
        self->host->set_error(self->host, sluice_text_of("processor_lua needs a script"));
        return SLUICE_E_PLUGIN_LOAD;
    }
    if (!lua_deadline_install(&self->deadline)) {
        self->host->log(self->host, SLUICE_LOG_WARN,
                        sluice_text_of("no timer: only the host's deadline bounds the script"));
    }
    lua_pushcfunction(self->L, open_all);
    sluice_status status = SLUICE_E_PLUGIN_LOAD;
    if (lua_pcall(self->L, 0, 0, 0) == LUA_OK) {
        status = lua_script_load(self, script);
    } else {
        lua_script_take_error(self, self->L);
    }
    if (status != SLUICE_OK) {
        report(self);
    }
    return status;
}

static sluice_status describe(void *data, struct sluice_attachment *ret)
{
    const struct lua_instance *self = data;
    uint32_t size = ret->size < sizeof(*ret) ? ret->size : (uint32_t)sizeof(*ret);
    memcpy(ret, &self->attachment, size);
    ret->size = size;
    return SLUICE_OK;
}

static sluice_status reconfigure(void *data)
{
    struct lua_instance *self = data;
    sluice_status status = lua_script_reconfigure(self);
    if (status != SLUICE_OK) {
        report(self);
    }
    return status;
}

/* ---- one record ---- */

/* A batch on its way. The stack of L holds process (1), the input record (2) and the pending list
 * (3). */
struct run {
    struct lua_instance *self;
    lua_State *L;
    const struct sluice_batch *batch;
    const struct sluice_writer *writer;
    uint32_t index;
    bool stopped; /* the rest of the batch comes again */
};
#define RUN_PROCESS 1
#define RUN_RECORD  2
#define RUN_PENDING 3

static sluice_status reject(const struct run *run, const char *reason)
{
    return run->writer->reject(run->writer, run->index, sluice_text_of(reason));
}

/* The script's own fault, as far as one can tell. */
static sluice_status fail(const struct run *run, const char *reason)
{
    const struct sluice_writer *writer = run->writer;
    bool known = writer->size >= offsetof(struct sluice_writer, fail) + sizeof(writer->fail);
    return known && writer->fail != NULL ? writer->fail(writer, run->index, sluice_text_of(reason))
                                         : reject(run, reason);
}

static sluice_status retry_from(struct run *run, uint32_t index, const char *reason)
{
    run->stopped = true;
    if (index >= run->batch->record_count) {
        return SLUICE_OK;
    }
    return run->writer->retry(run->writer, index, sluice_text_of(reason));
}

/* A script sets no negative timestamp, but a producer may have: -1 to the writer, the input's as it
 * is. */
static sluice_status emit(const struct run *run, const struct lua_record *record)
{
    const struct sluice_emit out = {
        .size = sizeof(out),
        .header_count = record->header_count,
        .topic = record->out_topic,
        .partition = SLUICE_PARTITION_AUTO,
        .timestamp = record->timestamp < 0 ? -1 : record->timestamp,
        .key = record->key,
        .value = record->value,
        .headers = record->headers,
    };
    return run->writer->emit(run->writer, run->index, &out);
}

/* All that process returned, flattened: results are on the stack above RUN_PENDING; a list counts
 * as its elements. Calls `visit` for each record, in order. False: something else was returned. */
typedef sluice_status visit_fn(const struct run *run, const struct lua_record *record);

static sluice_status visit_list(const struct run *run, int index, visit_fn *visit, bool *ret_good)
{
    lua_State *L = run->L;
    sluice_status status = SLUICE_OK;
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= count && *ret_good && status == SLUICE_OK; i++) {
        lua_rawgeti(L, index, i);
        const struct lua_record *record = lua_record_at(L, -1);
        *ret_good = record != NULL;
        status = record != NULL ? visit(run, record) : SLUICE_OK;
        lua_pop(L, 1);
    }
    return status;
}

static sluice_status visit_results(const struct run *run, int top, visit_fn *visit, bool *ret_good)
{
    lua_State *L = run->L;
    sluice_status status = SLUICE_OK;
    for (int i = RUN_PENDING + 1; i <= top && *ret_good && status == SLUICE_OK; i++) {
        const struct lua_record *record = lua_record_at(L, i);
        if (record != NULL) {
            status = visit(run, record);
        } else if (lua_istable(L, i)) {
            status = visit_list(run, i, visit, ret_good);
        } else {
            *ret_good = lua_isnil(L, i);
        }
    }
    return status;
}

static sluice_status count_record(const struct run *run, const struct lua_record *record)
{
    (void)record;
    run->self->result_count++;
    return SLUICE_OK;
}

static sluice_status emit_pending(const struct run *run)
{
    sluice_status status = SLUICE_OK;
    for (uint32_t i = 1; i <= run->self->pending_count && status == SLUICE_OK; i++) {
        lua_rawgeti(run->L, RUN_PENDING, i);
        const struct lua_record *record = lua_record_at(run->L, -1);
        status = emit(run, record);
        lua_pop(run->L, 1);
    }
    return status;
}

/* A refusal by the host costs the record, or the rest of the batch when only its budget is used up.
 */
static sluice_status handle_refusal(struct run *run, sluice_status status)
{
    if (status == SLUICE_E_PERMISSION) {
        return fail(run, "it emits to a topic that is not granted: name it in 'outputs'");
    }
    if (status == SLUICE_E_INVALID_TOPIC) {
        return reject(run, "it emits to a topic whose name is none");
    }
    if (status == SLUICE_E_INVALID) {
        return reject(run, "its output has more headers than a record may have");
    }
    if (status == SLUICE_E_LIMIT && run->index == 0) {
        return reject(run, "its output is larger than a batch may have");
    }
    if (status == SLUICE_E_LIMIT) {
        return retry_from(run, run->index, "the output of the batch is full");
    }
    return status;
}

static sluice_status deliver(struct run *run)
{
    struct lua_instance *self = run->self;
    int top = lua_gettop(run->L);
    bool good = true;
    self->result_count = 0;
    (void)visit_results(run, top, count_record, &good);
    if (!good) {
        return fail(run, "process must return records or nil");
    }
    uint32_t count = self->result_count + self->pending_count;
    if (count == 0) {
        return run->writer->drop(run->writer, run->index);
    }
    if (count == 1 && lua_record_at(run->L, RUN_PENDING + 1) == self->record &&
        !self->record->changed) {
        return run->writer->pass(run->writer, run->index);
    }
    sluice_status status = emit_pending(run);
    if (status == SLUICE_OK) {
        status = visit_results(run, top, emit, &good);
    }
    return status == SLUICE_OK ? SLUICE_OK : handle_refusal(run, status);
}

/* No memory. What the record itself took is garbage now and it is to blame; if the memory is still
 * full, what earlier records left behind is, and the record must be tried in a fresh worker. */
static sluice_status out_of_memory(struct run *run)
{
    struct lua_instance *self = run->self;
    lua_gc(run->L, LUA_GCCOLLECT);
    if (self->heap.used < self->heap.limit / 2) {
        return fail(run, self->reason);
    }
    if (run->index > 0) {
        return retry_from(run, run->index, self->reason);
    }
    self->host->set_error(self->host, sluice_text_of(self->reason));
    return SLUICE_E_PLUGIN_MEMORY;
}

/* The error of lua_pcall is on top. */
static sluice_status fail_record(struct run *run, int error)
{
    struct lua_instance *self = run->self;
    bool rejected = lua_record_is_reject(run->L, -1);
    lua_script_take_error(self, run->L);
    if (self->state_is_full && run->index > 0 && !self->deadline.dead) {
        return retry_from(run, run->index, self->reason);
    }
    if (!self->deadline.dead) {
        return error == LUA_ERRMEM ? out_of_memory(run)
               : rejected          ? reject(run, self->reason)
                                   : fail(run, self->reason);
    }
    if (!lua_deadline_blames_record(&self->deadline) && self->spared_count < SPARED_MAX) {
        self->spared_count = run->index > 0 ? 0 : self->spared_count + 1;
        return retry_from(run, run->index, self->reason);
    }
    self->spared_count = 0;
    sluice_status status = fail(run, self->reason);
    return status == SLUICE_OK ? retry_from(run, run->index + 1, self->reason) : status;
}

static void clear_pending(struct run *run)
{
    for (uint32_t i = 1; i <= run->self->pending_count; i++) {
        lua_pushnil(run->L);
        lua_rawseti(run->L, RUN_PENDING, i);
    }
    run->self->pending_count = 0;
}

static sluice_status run_record(struct run *run, const struct sluice_record *in)
{
    struct lua_instance *self = run->self;
    lua_State *L = run->L;
    self->deadline.record_index = run->index;
    self->state_is_full = false;
    lua_record_set(self->record, in, run->batch);
    lua_pushvalue(L, RUN_PROCESS);
    lua_pushvalue(L, RUN_RECORD);
    int error = lua_pcall(L, 1, LUA_MULTRET, 0);
    bool good = error == LUA_OK;
    sluice_status status = good ? deliver(run) : fail_record(run, error);
    if (good && self->deadline.dead && !run->stopped && status == SLUICE_OK) {
        status = retry_from(run, run->index + 1, "the deadline passed");
    }
    lua_settop(L, RUN_PENDING);
    if (self->pending_count > 0) {
        clear_pending(run);
    }
    return status;
}

/* What is left until the host's deadline; without one, as the script says. */
static int64_t allowed_ms(const struct lua_instance *self, const struct sluice_batch *batch)
{
    struct timespec now;
    if (batch->context == NULL || batch->context->deadline_ms == 0) {
        return self->deadline_ms;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left_ms =
        batch->context->deadline_ms - ((int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS);
    return left_ms > 0 ? left_ms : 1;
}

static sluice_status process_batch(void *data, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    struct lua_instance *self = data;
    lua_State *L = self->L;
    struct run run = {.self = self, .L = L, .batch = batch, .writer = writer};
    lua_settop(L, 0);
    if (lua_checkstack(L, RUN_STACK_SLOTS) == 0) {
        return SLUICE_E_PLUGIN_MEMORY;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, self->refs.process);
    lua_rawgeti(L, LUA_REGISTRYINDEX, self->refs.record);
    lua_rawgeti(L, LUA_REGISTRYINDEX, self->refs.pending);
    self->state_waits = false;
    lua_deadline_begin(&self->deadline, L, allowed_ms(self, batch));
    sluice_status status = SLUICE_OK;
    while (run.index < batch->record_count && status == SLUICE_OK && !run.stopped &&
           !self->state_waits) {
        status = run_record(&run, sluice_batch_record(batch, run.index));
        run.index++;
    }
    self->spared_count = run.stopped ? self->spared_count : 0;
    lua_deadline_end(&self->deadline, L);
    lua_record_clear(self->record);
    lua_settop(L, 0);
    return self->state_waits ? SLUICE_E_WOULD_BLOCK : status;
}

/* ---- the module ---- */

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .init = init,
    .describe = describe,
    .process_batch = process_batch,
    .reconfigure = reconfigure,
    .destroy = destroy,
};

static const char *const required_extensions[] = {SLUICE_EXT_SCRIPT, NULL};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "processor_lua", .version = "1.0.0",
              .required_extensions = required_extensions, .entry = &processor);
