/* at_load.c: modules that misbehave before they run: in a constructor, or by what they declare.
 * Compiled once for each AT_LOAD_* definition of tests/sandbox/CMakeLists.txt. */
#include <fcntl.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef AT_LOAD_MAJOR
#define AT_LOAD_MAJOR SLUICE_ABI_MAJOR
#endif
#ifndef AT_LOAD_MINOR
#define AT_LOAD_MINOR SLUICE_ABI_MINOR
#endif
#ifndef AT_LOAD_SIZE
#define AT_LOAD_SIZE sizeof(struct sluice_plugin_descriptor)
#endif
#ifndef AT_LOAD_MAGIC
#define AT_LOAD_MAGIC SLUICE_PLUGIN_MAGIC
#endif

#ifdef AT_LOAD_CONSTRUCTOR
__attribute__((constructor)) static void constructor(void)
{
    char *none[] = {NULL};
    volatile int sink = 0;

    (void)none;
    AT_LOAD_CONSTRUCTOR;
    (void)sink;
}
#endif

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    *ret_self = NULL;
#ifdef AT_LOAD_CREATE_FAILS
    host->set_error(host, sluice_text_of("mask.lua:12: unexpected symbol"));
    return SLUICE_E_PLUGIN_CONFIG;
#else
    (void)host;
    return SLUICE_OK;
#endif
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    (void)batch;
    (void)writer;
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
#ifdef AT_LOAD_REQUIRES
static const char *const required[] = {AT_LOAD_REQUIRES, NULL};
#else
#define required NULL
#endif

#ifndef AT_LOAD_NO_SYMBOL
SLUICE_PLUGIN(.size = AT_LOAD_SIZE, .magic = AT_LOAD_MAGIC, .abi_major = AT_LOAD_MAJOR,
              .abi_minor = AT_LOAD_MINOR, .kind = SLUICE_KIND_PROCESSOR, .id = "at_load",
              .version = "1.0.0", .required_extensions = required, .entry = &processor);
#else
SLUICE_EXPORT const void *not_a_plugin(void);
const void *not_a_plugin(void)
{
    return &processor;
}
#endif
