/* hostile.c: the processor of hostile.so. "witness" is the one name that means no harm. */
#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char attack_name[SANDBOX_NAME_SIZE_MAX + 1] = "witness";
static const struct sluice_host *the_host;
static const struct channel_geometry GEOMETRY = SANDBOX_GEOMETRY_DEFAULT;

/* The C library hands argc and argv to the constructors of every object: the worker's only argument
 * is the instance's name. */
__attribute__((constructor)) static void loaded(int count, char **arguments, char **environment)
{
    (void)environment;
    if (count > 1) {
        snprintf(attack_name, sizeof(attack_name), "%s", arguments[1]);
    }
    hostile_load("constructor ", attack_name, NULL);
}

__attribute__((destructor)) static void unloaded(void)
{
    hostile_load("destructor ", attack_name, NULL);
}

void hostile_say(const struct hostile_scene *scene, const char *format, ...)
{
    char text[256];
    struct sluice_emit record = {
        .size = sizeof(record), .partition = SLUICE_PARTITION_AUTO, .timestamp = -1};
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    record.value = (struct sluice_bytes){(const uint8_t *)text, (uint64_t)size};
    (void)scene->writer->emit(scene->writer, 0, &record);
}

_Noreturn void hostile_wait(void)
{
    for (;;) {
        usleep(1000);
    }
}

static void config_text(const char *key, char *text, size_t size)
{
    const struct sluice_text value = the_host->get_config(the_host, key, sluice_text_of(""));

    snprintf(text, size, "%.*s", (int)value.size, value.data);
}

static long config_number(const char *key)
{
    char text[32];

    config_text(key, text, sizeof(text));
    return strtol(text, NULL, 10);
}

static bool run_of(const struct hostile_attack *attacks, struct hostile_scene *scene)
{
    for (; attacks->name != NULL; attacks++) {
        if (strcmp(attacks->name, attack_name) == 0) {
            attacks->run(scene);
            return true;
        }
    }
    return false;
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    the_host = host;
    *ret_self = NULL;
    hostile_load("create ", attack_name, host);
    return SLUICE_OK;
}

static sluice_status init(void *self)
{
    (void)self;
    hostile_load("init ", attack_name, the_host);
    return SLUICE_OK;
}

static sluice_status describe(void *self, struct sluice_attachment *ret)
{
    static char name[CONTROL_READY_TEXT_MAX + 10];

    (void)self;
    if (strcmp(attack_name, "describe without end") == 0) {
        memset(name, 'x', sizeof(name));
        ret->name = (struct sluice_text){name, sizeof(name)};
    } else if (strcmp(attack_name, "describe a million outputs") == 0) {
        ret->extra_output_count = 1000000;
    }
    return SLUICE_OK;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    static char secret[256];
    static uint32_t batches;
    const uint64_t slot = batches++ % GEOMETRY.depth;
    struct hostile_scene scene = {
        .host = the_host, .batch = batch, .writer = writer, .secret = secret};
    uint8_t *memory;

    (void)self;
    if (strcmp(attack_name, "witness") == 0) {
        return SLUICE_OK;
    }
    if (writer->reserve(writer, 8, &memory) != SLUICE_OK) {
        return SLUICE_E_INTERNAL;
    }
    /* Task n has slot n mod depth in both regions. */
    scene.output = memory - CHANNEL_EMIT_VALUE_AT - sizeof(struct channel_result_wire) -
                   CHANNEL_HEAD_BYTES - slot * GEOMETRY.output_slot_bytes;
    scene.input = (uint8_t *)((uintptr_t)batch->records[0].value.data &
                              ~(uintptr_t)(CHANNEL_HEAD_BYTES - 1)) -
                  CHANNEL_HEAD_BYTES - slot * GEOMETRY.input_slot_bytes;
    config_text("secret", secret, sizeof(secret));
    scene.host_pid = config_number("host_pid");
    scene.witness_pid = config_number("witness_pid");
    if (!hostile_call(&scene, attack_name) && !run_of(hostile_life, &scene) &&
        !run_of(hostile_rings, &scene) && !run_of(hostile_control, &scene) &&
        !run_of(hostile_task, &scene)) {
        hostile_load("batch ", attack_name, the_host);
    }
    return SLUICE_OK;
}

static sluice_status drain(void *self)
{
    (void)self;
    hostile_load("drain ", attack_name, the_host);
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
    hostile_load("destroy ", attack_name, the_host);
}

static const struct sluice_processor processor = {.size = sizeof(processor),
                                                  .create = create,
                                                  .init = init,
                                                  .describe = describe,
                                                  .process_batch = process_batch,
                                                  .drain = drain,
                                                  .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "hostile", .version = "1.0.0",
              .entry = &processor);
