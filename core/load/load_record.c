/* load_record.c: see load_record.h. */
#include "load/load_record.h"

#include "base/bytes.h"

#define MAGIC       "sluiceB1"
#define MAGIC_BYTES 8u
#define RUN_AT      8u
#define STREAM_AT   16u
#define SEQUENCE_AT 24u
#define DUE_AT      32u

bool load_stamp_read(struct sl_bytes value, struct load_stamp *ret_stamp)
{
    if (value.size < LOAD_STAMP_BYTES || memcmp(value.data, MAGIC, MAGIC_BYTES) != 0) {
        return false;
    }
    *ret_stamp = (struct load_stamp){.run = sl_le64_load(value.data + RUN_AT),
                                     .stream = sl_le32_load(value.data + STREAM_AT),
                                     .sequence = sl_le64_load(value.data + SEQUENCE_AT),
                                     .due_ns = (int64_t)sl_le64_load(value.data + DUE_AT)};
    return true;
}

sl_err load_maker_init(struct load_maker *maker, size_t size, uint64_t run, uint32_t stream)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.";
    uint64_t mix = run + stream + 1;
    SL_ASSERT(size >= LOAD_STAMP_BYTES);
    *maker = (struct load_maker){.value = sl_alloc(size), .size = size};
    if (maker->value == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memset(maker->value, 0, LOAD_STAMP_BYTES);
    memcpy(maker->value, MAGIC, MAGIC_BYTES);
    sl_le64_store(maker->value + RUN_AT, run);
    sl_le32_store(maker->value + STREAM_AT, stream);
    for (size_t i = LOAD_STAMP_BYTES; i < size; i++) {
        mix = mix * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        maker->value[i] = (uint8_t)letters[(mix >> 58) % (sizeof(letters) - 1)];
    }
    return SLUICE_OK;
}

void load_maker_fini(struct load_maker *maker)
{
    sl_free(maker->value);
    maker->value = NULL;
}

struct sl_bytes load_maker_next(struct load_maker *maker, uint64_t sequence, int64_t due_ns)
{
    sl_le64_store(maker->value + SEQUENCE_AT, sequence);
    sl_le64_store(maker->value + DUE_AT, (uint64_t)due_ns);
    return sl_bytes_of(maker->value, maker->size);
}
