/* crasher: passes every record on, and once in about 3,000 records crashes at random, for no reason
 * that lies in the record. Attached to `ids.b`, writes `ids.b.crashed`. */
#include <sluice/sluice.h>

#include <time.h>

SLUICE_MANIFEST("{\"id\":\"crasher\",\"version\":\"1.0.0\",\"kind\":\"processor\",\"on\":\"log\","
                "\"input\":\"ids.b\",\"output\":\"ids.b.crashed\"}");

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    *ret_self = (void *)host;
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static void crash_at_random(void)
{
    static uint64_t state;
    struct timespec now;
    if (state == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u | 1u;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (state % 3000 == 0) {
        *(volatile int *)0 = 1;
    }
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        crash_at_random();
        sluice_status status = writer->pass(writer, i);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .process_batch = process_batch,
    .destroy = destroy,
};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "crasher", .version = "1.0.0",
              .entry = &processor);
