/* fuzz_manifest.c: the JSON of a module's manifest: any bytes give a manifest or one sentence. */
#include "plugin/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    struct manifest manifest;
    char reason[MANIFEST_REASON_BYTES] = "";
    memcpy(exact, data, size);
    if (manifest_parse((struct sl_bytes){exact, size}, &manifest, reason) == SLUICE_OK) {
        if (!manifest_id_is_valid((struct sl_bytes){(uint8_t *)manifest.id, strlen(manifest.id)}) ||
            manifest.input_count > MANIFEST_TOPICS_MAX ||
            manifest.output_count > MANIFEST_TOPICS_MAX) {
            abort();
        }
        manifest_fini(&manifest);
    } else if (reason[0] == '\0') {
        abort(); /* a refusal says why */
    }
    free(exact);
    return 0;
}
