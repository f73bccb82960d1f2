/* fuzz_filter_script.c: whatever a client sends as an expression in Lua is a script around it, or
 * refused with a sentence. */
#include "plugin/filter_script.h"

#include "base/bytes.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char reason[FILTER_REASON_BYTES] = "";
    uint8_t *script = NULL;
    size_t script_size = 0;
    sl_err err = filter_script_make((struct sl_bytes){data, size}, &script, &script_size, reason);
    SL_ASSERT(err == SLUICE_OK ? script_size > size : strlen(reason) > 0);
    sl_free(script);
    return 0;
}
