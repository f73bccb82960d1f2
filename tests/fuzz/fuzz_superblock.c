/* fuzz_superblock.c: any bytes as sluice.meta; shorter input is padded with zeros.
 *
 * The CRC would stop nearly every mutation, so that the bytes are also tried with magic and CRC
 * made right. What decodes has a shard count in its bounds, and encodes to bytes that decode to the
 * same. */
#include "broker/superblock.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_bytes(const uint8_t bytes[SUPERBLOCK_SIZE])
{
    struct superblock first, second;
    uint8_t encoded[SUPERBLOCK_SIZE];
    if (superblock_decode(bytes, &first) != SLUICE_OK) {
        return;
    }
    superblock_encode(&first, encoded);
    if (first.shard_count == 0 || first.shard_count > 64 ||
        superblock_decode(encoded, &second) != SLUICE_OK ||
        second.shard_count != first.shard_count ||
        memcmp(second.cluster.b, first.cluster.b, sizeof(first.cluster.b)) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[SUPERBLOCK_SIZE] = {0};
    memcpy(bytes, data, SL_MIN(size, sizeof(bytes)));
    try_bytes(bytes);
    memcpy(bytes, "SLUICEDB", 8);
    sl_le32_store(bytes + SUPERBLOCK_SIZE - 4, sl_crc32c(bytes, SUPERBLOCK_SIZE - 4));
    try_bytes(bytes);
    return 0;
}
