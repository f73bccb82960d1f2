/* resource_user.c: a processor that reads its file and asks its connection for every record, and
 * emits what it got; and what it must not get. */
#include <errno.h>
#include <fcntl.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct sluice_host *the_host;

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    the_host = host;
    *ret_self = NULL;
    return SLUICE_OK;
}

static const struct sluice_resource *find(uint32_t kind)
{
    const struct sluice_resources *resources =
        the_host->get_extension(the_host, SLUICE_EXT_RESOURCES);

    for (uint32_t i = 0; i < resources->count; i++) {
        const struct sluice_resource *item =
            (const void *)((const char *)resources->items + i * resources->stride);

        if (item->kind == kind) {
            return item;
        }
    }
    return NULL;
}

static int say_file(char *text, size_t size)
{
    const struct sluice_resource *file = find(SLUICE_RESOURCE_FILE);
    char line[64];
    ssize_t count;

    if (file == NULL) {
        return snprintf(text, size, "no file");
    }
    count = pread(file->descriptor, line, sizeof(line), 0);
    if (write(file->descriptor, "x", 1) != -1) {
        return snprintf(text, size, "WROTE");
    }
    return snprintf(text, size, "%.*s: %.*s", (int)file->name.size, file->name.data, (int)count,
                    line);
}

static int say_peer(char *text, size_t size)
{
    const struct sluice_resource *peer = find(SLUICE_RESOURCE_CONNECTION);
    char line[64];
    ssize_t count;

    if (peer == NULL) {
        return snprintf(text, size, "no connection");
    }
    if (send(peer->descriptor, "ping\n", 5, 0) != 5) {
        return snprintf(text, size, "send failed: %d", errno);
    }
    count = recv(peer->descriptor, line, sizeof(line), 0);
    return snprintf(text, size, "%.*s: %.*s", (int)peer->name.size, peer->name.data,
                    count > 0 ? (int)count : 0, line);
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    struct sluice_emit out = {
        .size = sizeof(out), .partition = SLUICE_PARTITION_AUTO, .timestamp = -1};
    char text[512];
    int size;

    (void)self;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        size = say_file(text, sizeof(text) / 2);
        text[size++] = ';';
        size += say_peer(text + size, sizeof(text) / 2 - 8);
        out.value = (struct sluice_bytes){(const uint8_t *)text, (uint64_t)size};
        if (writer->emit(writer, i, &out) != SLUICE_OK) {
            return SLUICE_E_INTERNAL;
        }
    }
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct sluice_processor processor = {.size = sizeof(processor),
                                                  .create = create,
                                                  .process_batch = process_batch,
                                                  .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "resource_user", .version = "1.0.0",
              .entry = &processor);
#ifndef RESOURCE_MANIFEST
#define RESOURCE_MANIFEST "{\"id\":\"resource_user\",\"kind\":\"processor\"}"
#endif
SLUICE_MANIFEST(RESOURCE_MANIFEST);
