/* capture_file.h: the batches of tests/data/record/record_batches.jsonl. Ends the test on any
 * fault. */
#ifndef TEST_CAPTURE_FILE_H
#define TEST_CAPTURE_FILE_H

#include "record/batch_view.h"

enum { CAPTURE_COUNT = 19 };

struct capture {
    char source[64];
    char codec[16];
    int64_t record_count, last_offset_delta, base_timestamp, max_timestamp;
    int64_t producer_id, producer_epoch, base_sequence;
    uint32_t crc;
    bool transactional;
    uint8_t
        *batch; /* its own malloc block of exactly `size` bytes, so that ASan sees every overrun */
    size_t size;
};

struct capture_file {
    struct capture captures[CAPTURE_COUNT];
};

void capture_file_open(struct capture_file *file);
void capture_file_close(struct capture_file *file);

#endif
