/* <sluice/records.h>: record batches for frontends whose protocol speaks of single records
 * (extension "sluice.records/1").
 *
 * produce takes whole batches and fetch gives whole ones (broker.h), in Kafka's format 2 and
 * perhaps compressed. A frontend that has records instead lets the host build and open them: the
 * same code that checks what clients send. */
#ifndef SLUICE_RECORDS_H
#define SLUICE_RECORDS_H

#include <sluice/processor.h>

/* Id of struct sluice_records_host, for sluice_host.get_extension. */
#define SLUICE_EXT_RECORDS "sluice.records/1"

/* Gets one record, its views valid until it returns; false ends the walk. [loop] */
typedef bool sluice_record_each(void *arg, const struct sluice_record *record);

/* Batches from records and back. Borrowed from the host; lives as long as the instance. [loop] */
struct sluice_records_host {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* One batch, not compressed, of `count` records; record i is at (char *)records + i * stride.
     * Offsets are the broker's to give and are not looked at; timestamp -1: now. The batch is the
     * host's memory, valid until the next call of build on this loop. SLUICE_E_INVALID: no record.
     * SLUICE_E_LIMIT: above 16 MiB. SLUICE_E_NO_MEMORY. */
    sluice_status (*build)(const struct sluice_records_host *host,
                           const struct sluice_record *records, uint32_t count, uint32_t stride,
                           struct sluice_bytes *ret_batch);
    /* Calls `each` for every record from `offset` on that is in `batches`, the records of a fetch
     * result; control records are left out. *ret_next_offset: where the next fetch goes on, also
     * after holes and when the walk was ended. Opening compressed batches takes about 1 ms a MiB of
     * the loop's time: fetch little at once. SLUICE_E_CORRUPT_BATCH, SLUICE_E_INVALID_RECORD,
     * SLUICE_E_EXPANDS_TOO_FAR: stored bytes are not what they should be. SLUICE_E_NO_MEMORY. */
    sluice_status (*each)(const struct sluice_records_host *host, struct sluice_bytes batches,
                          int64_t offset, sluice_record_each *each, void *arg,
                          int64_t *ret_next_offset);
};

#endif
