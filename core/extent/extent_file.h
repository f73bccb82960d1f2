/* extent_file.h: names of extent files, and reading what stands around the batches: header, footer,
 * trailer. For the set, which knows what to find, and the inspector, which does not. [blocks] */
#ifndef SL_EXTENT_EXTENT_FILE_H
#define SL_EXTENT_EXTENT_FILE_H

#include "extent/extent_format.h"
#include "os/os.h"

#define EXTENT_PATH_MAX 512u

/* directory: "…/ext", at most EXTENT_PATH_MAX - 32 bytes. */
void extent_path(char ret_path[EXTENT_PATH_MAX], const char *directory, uint64_t id);
/* What of a path a problem shows: a long one without its beginning. */
const char *extent_path_shown(const char *path);
/* The id in a file's name, or 0: not the name of an extent. */
uint64_t extent_name_id(const char *name);

/* Ids of the extent files in a directory, in order. [gives *ret_ids, NULL when there are none] */
sl_err extent_directory_ids(struct sl_os *os, const char *directory, uint64_t **ret_ids,
                            size_t *ret_count) SL_MUST_CHECK;

/* Header and footer of one open file, each checked, and that they are of one file. */
struct extent_outline {
    struct extent_header header;
    struct extent_footer footer; /* borrows bytes */
    uint8_t *bytes;              /* owned: the footer's */
    uint64_t file_size;
};

/* Header alone, its padding too. Errors as below. */
sl_err extent_file_header(struct sl_file *file, const char *path, struct extent_header *ret_header,
                          char ret_problem[EXTENT_PROBLEM_BYTES]) SL_MUST_CHECK;
/* path: for the problem, which is one sentence: file, position, what to do. item: NULL, or what a
 * frame says of the file. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY, E_IO. */
sl_err extent_outline_read(struct sl_file *file, const char *path, const struct extent_item *item,
                           struct extent_outline *ret_outline,
                           char ret_problem[EXTENT_PROBLEM_BYTES]) SL_MUST_CHECK;
void extent_outline_fini(struct extent_outline *outline);

#endif
