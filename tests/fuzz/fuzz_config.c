/* fuzz_config.c: any text as configuration file. The first line, when it begins with '!', is one
 * --set.
 *
 * What loads must survive what is done with a configuration: text, diff, merge; and merging a value
 * with itself changes nothing. */
#include "control/config.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct sl_config *config)
{
    struct sl_config *merged = NULL;
    struct config_diff *diff = NULL;
    char *text = NULL;
    size_t text_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    config_show_write(config, out);
    if (config_merge_live(config, config, &merged) == SLUICE_OK) {
        if (config_diff_new(config, merged, &diff) == SLUICE_OK) {
            SL_ASSERT(diff->count == 0);
            cJSON_Delete(config_diff_json(diff));
            config_diff_free(diff);
        }
        config_free(merged);
    }
    fclose(out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config_report report;
    struct config_sources sources = {.setting_count = 0};
    struct sl_config *config = NULL;
    char setting[256] = "";
    const uint8_t *newline = size > 0 && data[0] == '!' ? memchr(data, '\n', size) : NULL;
    if (newline != NULL && (size_t)(newline - data) < sizeof(setting)) {
        memcpy(setting, data + 1, (size_t)(newline - data) - 1);
        sources.settings[0] = setting;
        sources.setting_count = 1;
        size -= (size_t)(newline - data) + 1;
        data = newline + 1;
    }
    sl_err err =
        config_load_text((struct sl_bytes){data, size}, "fuzz.yaml", &sources, &report, &config);
    SL_ASSERT((err == SLUICE_OK) == (config != NULL));
    SL_ASSERT(err == SLUICE_OK || (report.count > 0 && report.problems[0][0] != '\0'));
    if (config != NULL) {
        use(config);
        config_free(config);
    }
    return 0;
}
