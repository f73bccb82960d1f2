/* boot_block.c: fixed head, then the variable parts one after the other, each aligned to 8. */
#include "boot_block.h"

#include "worker_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each worker has a user id of its own, so that one plugin cannot signal or trace another: a range
 * that no distribution hands out, plus the process id (at most 2^22). */
#define UID_BASE 1900000000u

struct block {
    uint8_t *memory;
    uint32_t size;
    uint32_t capacity;
};

static struct boot_span add(struct block *block, const void *data, uint64_t size)
{
    const struct boot_span span = {block->size, (uint32_t)size};

    if (size > 0) {
        memcpy(block->memory + block->size, data, size);
    }
    block->size += ((uint32_t)size + 7u) & ~7u;
    return span;
}

static uint64_t total_size(const struct sandbox *sandbox, const struct sandbox_spawn *spawn)
{
    uint64_t size = sizeof(struct boot_wire) + spawn->instance.size + spawn->config_json.size +
                    spawn->script_name.size + spawn->script.size + spawn->rehearsal.size +
                    spawn->broker_config_json.size + 24;

    for (uint32_t i = 0; i < BOOT_FILTER_COUNT; i++) {
        size += sandbox->filters[i].size + sandbox->kill_filters[i].size;
    }
    for (uint32_t i = 0; i < spawn->output_count; i++) {
        size += spawn->outputs[i].size;
    }
    for (uint32_t i = 0; i < spawn->resource_count; i++) {
        size += spawn->resources[i].name.size;
    }
    return size + 8u * (9u + 2u * BOOT_FILTER_COUNT + spawn->output_count + spawn->resource_count);
}

static void fill(struct block *block, const struct sandbox *sandbox,
                 const struct sandbox_spawn *spawn, const int *resources, pid_t pid)
{
    struct boot_wire boot = {
        .magic = BOOT_MAGIC,
        .host_pid = (uint32_t)getpid(),
        .cpu = spawn->cpu,
        .limits = spawn->limits,
        .geometry = spawn->geometry,
        .uid = UID_BASE + (uint32_t)pid,
        .has_script = spawn->script.data != NULL,
        .outputs_any = spawn->outputs_any,
        .output_count = spawn->output_count,
        .listener = sandbox->listener,
        .resource_count = spawn->resource_count,
        .rehearsal_seed = spawn->rehearsal_seed,
        .has_broker_config = spawn->broker_config_json.data != NULL,
        .write_metrics = spawn->write_metrics,
    };

    block->size = (sizeof(boot) + 7u) & ~7u;
    boot.instance = add(block, spawn->instance.data, spawn->instance.size);
    boot.config = spawn->config_json.size > 0
                      ? add(block, spawn->config_json.data, spawn->config_json.size)
                      : add(block, "{}", 2);
    boot.script_name = add(block, spawn->script_name.data, spawn->script_name.size);
    boot.script = add(block, spawn->script.data, spawn->script.size);
    boot.rehearsal = add(block, spawn->rehearsal.data, spawn->rehearsal.size);
    boot.broker_config = add(block, spawn->broker_config_json.data, spawn->broker_config_json.size);
    for (uint32_t i = 0; i < BOOT_FILTER_COUNT; i++) {
        boot.filters[i] = add(block, sandbox->filters[i].code, sandbox->filters[i].size);
        boot.kill_filters[i] =
            add(block, sandbox->kill_filters[i].code, sandbox->kill_filters[i].size);
    }
    for (uint32_t i = 0; i < spawn->output_count; i++) {
        boot.outputs[i] = add(block, spawn->outputs[i].data, spawn->outputs[i].size);
    }
    for (uint32_t i = 0, descriptor = WORKER_FD_RESOURCE; i < spawn->resource_count; i++) {
        boot.resource_kinds[i] = spawn->resources[i].kind;
        boot.resource_descriptors[i] = resources[i] >= 0 ? (int32_t)descriptor++ : -1;
        boot.resources[i] =
            add(block, spawn->resources[i].name.data, spawn->resources[i].name.size);
    }
    boot.size = block->size;
    memcpy(block->memory, &boot, sizeof(boot));
}

int boot_block_build(const struct sandbox *sandbox, const struct sandbox_spawn *spawn,
                     const int *resources, pid_t pid)
{
    struct block block = {.capacity = (uint32_t)total_size(sandbox, spawn)};
    const int fd = memfd_create("sluice-boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return -1;
    }
    block.memory = calloc(1, block.capacity);
    if (block.memory != NULL) {
        fill(&block, sandbox, spawn, resources, pid);
        if (pwrite(fd, block.memory, block.size, 0) == (ssize_t)block.size &&
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) {
            free(block.memory);
            return fd;
        }
    }
    free(block.memory);
    close(fd);
    errno = ENOMEM;
    return -1;
}
