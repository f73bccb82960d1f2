/* frontend_records.h: the extension "sluice.records/1" of one loop: batches from records and back,
 * for frontends that speak of single records (<sluice/records.h>). */
#ifndef SL_INTAKE_FRONTEND_RECORDS_H
#define SL_INTAKE_FRONTEND_RECORDS_H

#include "record/codec.h"
#include <sluice/records.h>

struct sl_os;

/* Memory above this is given back after a call. */
#define FRONTEND_RECORDS_KEPT_BYTES (256u * 1024)
#define FRONTEND_RECORDS_BUILD_MAX  (16u * 1024 * 1024)

/* Memory is taken at first use. Not shared between loops. */
struct frontend_records {
    struct sluice_records_host host;
    struct sl_os *os; /* [borrowed] for the time */
    struct codec_context *codecs;
    struct sl_buffer built, built_headers, decompressed, shown_headers;
};

/* decompressed_bytes_max: of one batch. */
void frontend_records_init(struct frontend_records *records, struct sl_os *os,
                           size_t decompressed_bytes_max);
void frontend_records_fini(struct frontend_records *records);

#endif
