/* cli_wal_records.h: the records of a batch in the log, for wal dump --records. [blocks] */
#ifndef SL_CLI_CLI_WAL_RECORDS_H
#define SL_CLI_CLI_WAL_RECORDS_H

#include "base/buffer.h"
#include "cli/cli_command.h"
#include "wal/item.h"

struct codec_context;

struct cli_records {
    const struct cli *cli;
    struct codec_context *codecs; /* owned; NULL without memory */
    struct sl_buffer batch, expanded;
};

void cli_records_init(struct cli_records *records, const struct cli *cli);
void cli_records_fini(struct cli_records *records);
/* Reads the batch at the place in the log of the shard's folder; one line a record whose offset is
 * in the range, or one that says why not. */
void cli_records_write(struct cli_records *records, const char *shard_path,
                       const struct wal_place *place, const struct cli_range *offsets);

#endif
