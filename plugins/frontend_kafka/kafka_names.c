/* kafka_names.c: see kafka_names.h. */
#include "kafka_names.h"

#include <stdlib.h>
#include <string.h>

struct placed_name {
    struct kafka_bytes name;
    int32_t place;
};

static int compare_bytes(struct kafka_bytes a, struct kafka_bytes b)
{
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size > 0 ? memcmp(a.data, b.data, (size_t)a.size) : 0;
}

/* Equal names by place, so that the first one of them comes first. */
static int compare_placed(const void *left, const void *right)
{
    const struct placed_name *a = left;
    const struct placed_name *b = right;
    int order = compare_bytes(a->name, b->name);
    return order != 0 ? order : a->place < b->place ? -1 : 1;
}

enum kafka_name_use *kafka_names_use(struct kafka_call *call, const struct kafka_bytes *names,
                                     int32_t count)
{
    enum kafka_name_use *uses = kafka_call_try_take(call, count, sizeof(*uses));
    struct placed_name *sorted = kafka_call_try_take(call, count, sizeof(*sorted));

    if (uses == NULL || sorted == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < count; i++) {
        sorted[i] = (struct placed_name){names[i], i};
    }
    qsort(sorted, (size_t)count, sizeof(*sorted), compare_placed);
    for (int32_t i = 1; i < count; i++) {
        bool is_null = kafka_is_null(sorted[i].name) || kafka_is_null(sorted[i - 1].name);
        if (is_null || compare_bytes(sorted[i - 1].name, sorted[i].name) != 0) {
            continue;
        }
        uses[sorted[i].place] = KAFKA_NAME_AGAIN;
        if (uses[sorted[i - 1].place] == KAFKA_NAME_ONCE) {
            uses[sorted[i - 1].place] = KAFKA_NAME_TWICE;
        }
    }
    return uses;
}
