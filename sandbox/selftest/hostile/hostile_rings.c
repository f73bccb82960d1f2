/* hostile_rings.c: attacks through the shared regions. The host must believe nothing that it reads
 * there. */
#include "hostile.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANDOM_WRITES 1000000u

static void publish(uint8_t *output, uint32_t answered)
{
    const uint64_t one = 1;

    atomic_store(&((struct channel_output_head *)(void *)output)->answered, answered);
    (void)!write(WORKER_FD_EVENT, &one, sizeof(one));
}

static _Noreturn void answer(uint8_t *output, uint32_t answered)
{
    publish(output, answered);
    hostile_wait();
}

static void put(uint8_t *output, struct channel_descriptor descriptor,
                struct channel_result_wire wire)
{
    memcpy(output + CHANNEL_HEAD_BYTES, &wire, sizeof(wire));
    memcpy(output + CHANNEL_DESCRIPTORS_AT, &descriptor, sizeof(descriptor));
}

/* The suite's first task is number 7. */
#define TASK      7u
#define WIRE_SIZE ((uint32_t)sizeof(struct channel_result_wire))

static void put_item(uint8_t *output, struct channel_item item, const struct channel_emit *emit)
{
    uint8_t *at = output + CHANNEL_HEAD_BYTES + WIRE_SIZE;

    memcpy(at, &item, sizeof(item));
    if (emit != NULL) {
        memcpy(at + sizeof(item), emit, sizeof(*emit));
    }
    put(output, (struct channel_descriptor){TASK, WIRE_SIZE + item.size, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = item.size, .error_size = 0});
    answer(output, 1);
}

static void lie_count(struct hostile_scene *scene)
{
    answer(scene->output, 3);
}

static void lie_count_wrap(struct hostile_scene *scene)
{
    answer(scene->output, 0xffffffffu);
}

static void lie_length(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, 0xfffffff0u, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0, .error_size = 0});
    answer(scene->output, 1);
}

/* One byte more than a slot: into the next one's. */
static void lie_length_by_one(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, (8u << 20) + 1, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 8u << 20, .error_size = 0});
    answer(scene->output, 1);
}

static void lie_length_zero(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, 3, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0, .error_size = 0});
    answer(scene->output, 1);
}

static void lie_items(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, 64, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0x7ffffff8, .error_size = 0});
    answer(scene->output, 1);
}

static void lie_error(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, WIRE_SIZE + 8, 0},
        (struct channel_result_wire){.magic = CHANNEL_RESULT_MAGIC,
                                     .status = SLUICE_E_PLUGIN_ERROR,
                                     .items_size = 0,
                                     .error_size = 0xfffffff8u});
    answer(scene->output, 1);
}

static void lie_magic(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK, WIRE_SIZE, 0},
        (struct channel_result_wire){.magic = 0});
    answer(scene->output, 1);
}

static void lie_task(struct hostile_scene *scene)
{
    put(scene->output, (struct channel_descriptor){TASK + 1, WIRE_SIZE, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0, .error_size = 0});
    answer(scene->output, 1);
}

static void lie_index(struct hostile_scene *scene)
{
    put_item(scene->output, (struct channel_item){SANDBOX_VERDICT_DROP, 1000, 16, 0}, NULL);
}

static void lie_kind(struct hostile_scene *scene)
{
    put_item(scene->output, (struct channel_item){77, 0, 16, 0}, NULL);
}

static void lie_item_size(struct hostile_scene *scene)
{
    const struct channel_item item = {SANDBOX_VERDICT_DROP, 0, 0, 0};

    memcpy(scene->output + CHANNEL_HEAD_BYTES + WIRE_SIZE, &item, sizeof(item));
    put(scene->output, (struct channel_descriptor){TASK, WIRE_SIZE + 16, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 16, .error_size = 0});
    answer(scene->output, 1);
}

static void lie_reason(struct hostile_scene *scene)
{
    put_item(scene->output, (struct channel_item){SANDBOX_VERDICT_REJECT, 0, 16, 0x80000000u},
             NULL);
}

static void lie_value(struct hostile_scene *scene)
{
    const struct channel_emit emit = {.value_size = 0xfffffff0u, .key_size = 32};

    put_item(scene->output,
             (struct channel_item){SANDBOX_VERDICT_EMIT, 0,
                                   sizeof(struct channel_item) + sizeof(emit), 0},
             &emit);
}

static void lie_headers(struct hostile_scene *scene)
{
    const struct channel_emit emit = {
        .header_count = 0x7fffffffu, .key_size = CHANNEL_NULL, .value_size = CHANNEL_NULL};

    put_item(scene->output,
             (struct channel_item){SANDBOX_VERDICT_EMIT, 0,
                                   sizeof(struct channel_item) + sizeof(emit), 0},
             &emit);
}

/* A good answer for the first task, and the same again for the second. */
static void replay(struct hostile_scene *scene)
{
    const struct channel_descriptor descriptor = {TASK, WIRE_SIZE, 0};

    put(scene->output, descriptor,
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0, .error_size = 0});
    memcpy(scene->output + CHANNEL_DESCRIPTORS_AT + sizeof(descriptor), &descriptor,
           sizeof(descriptor));
    answer(scene->output, 2);
}

/* Lengths and offsets that change while the host reads them. */
static void flip(struct hostile_scene *scene)
{
    struct channel_result_wire *wire =
        (struct channel_result_wire *)(void *)(scene->output + CHANNEL_HEAD_BYTES);
    struct channel_descriptor *descriptor =
        (struct channel_descriptor *)(void *)(scene->output + CHANNEL_DESCRIPTORS_AT);
    volatile uint32_t *items = &wire->items_size;
    volatile uint32_t *bytes = &descriptor->bytes;

    put(scene->output, (struct channel_descriptor){TASK, WIRE_SIZE, 0},
        (struct channel_result_wire){
            .magic = CHANNEL_RESULT_MAGIC, .status = 0, .items_size = 0, .error_size = 0});
    publish(scene->output, 1);
    for (;;) {
        *items = 0x7ffffff8u;
        *bytes = 0xfffffff0u;
        *items = 0;
        *bytes = WIRE_SIZE;
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A million random words into every page that it may write: the head page in full, all slots. */
static void scribble(struct hostile_scene *scene)
{
    const uint64_t size = CHANNEL_HEAD_BYTES + 4ull * (8u << 20);
    uint64_t state = 0x9e3779b97f4a7c15ull ^ (uint64_t)(uintptr_t)&size;

    for (uint32_t i = 0; i < RANDOM_WRITES; i++) {
        const uint64_t where = next_random(&state);
        const uint64_t at = i % 2 == 0 ? where % CHANNEL_HEAD_BYTES : where % size;
        const uint32_t word = (uint32_t)next_random(&state) >> (where >> 59);

        memcpy(scene->output + (at & ~3ull), &word, sizeof(word));
        if (i % 1000 == 0) {
            const uint64_t one = 1;
            (void)!write(WORKER_FD_EVENT, &one, sizeof(one));
        }
    }
    for (uint64_t at = 0; at < size; at += 4096) {
        scene->output[at] = (uint8_t)next_random(&state);
    }
    answer(scene->output, 1);
}

static void write_input(struct hostile_scene *scene)
{
    *(volatile uint8_t *)scene->input = 1;
    hostile_say(scene, "BREACH: it wrote the host's region");
}

static void unlock_input(struct hostile_scene *scene)
{
    if (mprotect(scene->input, 4096, PROT_READ | PROT_WRITE) == 0) {
        *(volatile uint8_t *)scene->input = 1;
        hostile_say(scene, "BREACH: it made the host's region writable");
        return;
    }
    hostile_say(scene, "the region stays read-only, error %d", errno);
}

static void beyond_output(struct hostile_scene *scene)
{
    scene->output[CHANNEL_HEAD_BYTES + 4ull * (8u << 20) + (64u << 20)] = 1;
    hostile_say(scene, "wrote outside its ring into memory of its own");
}

static void other_slot(struct hostile_scene *scene)
{
    memset(scene->output + CHANNEL_HEAD_BYTES + (8u << 20), 0x5a, 3u * (8u << 20));
    hostile_say(scene, "wrote into slots of other tasks");
}

static void ring_without_end(struct hostile_scene *scene)
{
    const uint64_t one = 1;

    (void)scene;
    for (;;) {
        (void)!write(WORKER_FD_EVENT, &one, sizeof(one));
    }
}

static void fill_event(struct hostile_scene *scene)
{
    const uint64_t most = 0xfffffffffffffffeull;

    (void)!write(WORKER_FD_EVENT, &most, sizeof(most));
    (void)!write(WORKER_FD_EVENT, &most, sizeof(most));
    hostile_say(scene, "filled the event counter");
}

static void stay_asleep(struct hostile_scene *scene)
{
    struct channel_output_head *head = (struct channel_output_head *)(void *)scene->output;

    for (uint32_t i = 0; i < 1000; i++) {
        atomic_store(&head->sleeping, i % 2);
        atomic_store(&head->alloc_failed, i);
    }
    hostile_say(scene, "lied about sleeping");
}

const struct hostile_attack hostile_rings[] = {
    {"ring: more answers than tasks", lie_count},
    {"ring: an index that wraps", lie_count_wrap},
    {"ring: a length beyond the region", lie_length},
    {"ring: a length into the next slot", lie_length_by_one},
    {"ring: a length below the least", lie_length_zero},
    {"ring: verdicts longer than the answer", lie_items},
    {"ring: an error longer than the answer", lie_error},
    {"ring: another magic number", lie_magic},
    {"ring: the answer of another task", lie_task},
    {"ring: a verdict on no record", lie_index},
    {"ring: a verdict of no kind", lie_kind},
    {"ring: a verdict of no size", lie_item_size},
    {"ring: a reason without end", lie_reason},
    {"ring: a value without end", lie_value},
    {"ring: headers without end", lie_headers},
    {"ring: a replayed descriptor", replay},
    {"ring: lengths that flip while they are read", flip},
    {"ring: 1,000,000 random writes", scribble},
    {"ring: write to the host's region", write_input},
    {"ring: unlock the host's region", unlock_input},
    {"ring: write beyond its region", beyond_output},
    {"ring: write to slots of other tasks", other_slot},
    {"ring: wake without end", ring_without_end},
    {"ring: fill the event counter", fill_event},
    {"ring: lie about sleep and memory", stay_asleep},
    {NULL, NULL},
};
