/* fuzz_place.c: the language of offsets: what is parsed is written and parsed again as the same. */
#include "cli/cli_place.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct cli_place *place)
{
    char text[CLI_PLACE_TEXT_BYTES];
    struct cli_place again;
    SL_ASSERT(place->value >= 0);
    cli_place_text(place, text);
    SL_ASSERT(cli_place_parse(text, 0, &again));
    SL_ASSERT(again.kind == place->kind && again.value == place->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    struct cli_span span;
    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (cli_span_parse(text, INT64_C(1795305600000), &span)) {
        check_place(&span.from);
        check_place(&span.to);
    }
    return 0;
}
