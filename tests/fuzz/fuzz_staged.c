/* fuzz_staged.c: the bytes of a module file: ELF bounds and the manifest note, read without running
 * code. */
#include <sandbox/staged.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile char sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    const struct sluice_bytes bytes = {exact, size};
    struct sluice_text manifest;
    char text[128] = "";

    memcpy(exact, data, size);
    if (staged_check(bytes, text, sizeof(text)) != SLUICE_OK && text[0] == '\0') {
        abort(); /* a refusal says why */
    }
    if (staged_manifest(bytes, &manifest) == SLUICE_OK) {
        for (uint64_t i = 0; i < manifest.size; i++) {
            sink = manifest.data[i];
        }
    }
    free(exact);
    return 0;
}
