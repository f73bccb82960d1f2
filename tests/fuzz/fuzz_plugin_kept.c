/* fuzz_plugin_kept.c: the index of kept versions: any bytes give entries within their bounds, which
 * are the same when they are written and read again. */
#include "plugin/plugin_kept.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kept_version *is)
{
    if (memchr(is->instance, '\0', sizeof(is->instance)) == NULL ||
        !manifest_id_is_valid(sl_bytes_of_text(is->instance)) || strchr(is->file, '/') != NULL ||
        is->size > STAGED_MODULE_SIZE_MAX || is->since_ms < 0 || is->until_ms < 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    struct kept_item *items = NULL;
    struct kept_item *again = NULL;
    uint32_t count = 0;
    uint32_t again_count = 0;
    memcpy(exact, data, size);
    if (kept_index_parse((struct sl_bytes){exact, size}, &items, &count) == SLUICE_OK) {
        char *text = kept_index_print(items, count);
        for (uint32_t i = 0; i < count; i++) {
            check(&items[i].is);
        }
        if (text != NULL &&
            (kept_index_parse(sl_bytes_of_text(text), &again, &again_count) != SLUICE_OK ||
             again_count != count || memcmp(items, again, count * sizeof(*items)) != 0)) {
            abort();
        }
        sl_free(text);
        sl_free(again);
        sl_free(items);
    }
    free(exact);
    return 0;
}
