/* frame_file.h: reads tests/data/kafka/frames.jsonl, one captured frame at a time. */
#ifndef FRAME_FILE_H
#define FRAME_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FRAME_SIZE_MAX 65536

struct frame_file {
    FILE *file;
    unsigned line;
    char text[2 * FRAME_SIZE_MAX + 1024];
};

struct frame {
    bool response;
    int16_t api_key;
    int16_t version;
    size_t trailing_size;
    size_t size;
    uint8_t data[FRAME_SIZE_MAX];
};

/* Aborts the test when the file is missing. */
void frame_file_open(struct frame_file *file, const char *path);
void frame_file_close(struct frame_file *file);
/* False at the end of the file; aborts the test on a line that it does not understand. */
bool frame_file_next(struct frame_file *file, struct frame *ret_frame);

#endif
