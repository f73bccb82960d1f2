/* config_args.c: the arguments of `sluice serve`. */
#include "control/config.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

struct flag {
    const char *name;
    bool takes_value;
    const char *(*take)(struct config_sources *sources, const char *value); /* NULL or a fault */
};

static const char *config_take(struct config_sources *sources, const char *value)
{
    if (sources->file_count == CONFIG_FILES_MAX) {
        return "more than 16 --config files";
    }
    sources->files[sources->file_count++] = value;
    return NULL;
}

static const char *set_take(struct config_sources *sources, const char *value)
{
    if (sources->setting_count == CONFIG_SETTINGS_MAX) {
        return "more than 64 --set values; write them to a file and give it with --config";
    }
    sources->settings[sources->setting_count++] = value;
    return NULL;
}

static const char *profile_take(struct config_sources *sources, const char *value)
{
    sources->profile = value;
    return NULL;
}

static const char *home_take(struct config_sources *sources, const char *value)
{
    sources->home = value;
    return value[0] == '\0' ? "--home needs a folder" : NULL;
}

static const char *dev_take(struct config_sources *sources, const char *value SL_UNUSED)
{
    sources->dev = true;
    return NULL;
}

static const struct flag flags[] = {
    {"--config", true, config_take}, {"--profile", true, profile_take}, {"--home", true, home_take},
    {"--dev", false, dev_take},      {"--set", true, set_take},
};

static const struct flag *flag_find(const char *word, size_t size)
{
    for (size_t i = 0; i < SL_COUNT_OF(flags); i++) {
        if (strlen(flags[i].name) == size && memcmp(flags[i].name, word, size) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

/* "unknown argument; did you mean --dev?" */
static const char *unknown_fault(const char *word, size_t size, char ret_text[64])
{
    const char *known[SL_COUNT_OF(flags)];
    for (size_t i = 0; i < SL_COUNT_OF(flags); i++) {
        known[i] = flags[i].name;
    }
    const char *best =
        sl_text_nearest((struct sl_bytes){(const uint8_t *)word, size}, known, SL_COUNT_OF(flags));
    snprintf(ret_text, 64, "unknown argument%s%s%s", best != NULL ? "; did you mean " : "",
             best != NULL ? best : "", best != NULL ? "?" : "");
    return ret_text;
}

sl_err config_args(int argc, char *const *argv, struct config_sources *sources, bool *ret_help,
                   char ret_problem[CONFIG_PROBLEM_TEXT_MAX])
{
    bool help = false;
    char unknown[64];
    for (int i = 0; i < argc; i++) {
        size_t size = strcspn(argv[i], "=");
        const struct flag *flag = flag_find(argv[i], size);
        const char *value = argv[i][size] == '=' ? argv[i] + size + 1 : NULL;
        const char *fault = NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help = true;
            continue;
        }
        if (flag == NULL) {
            fault = unknown_fault(argv[i], size, unknown);
        } else if (flag->takes_value && value == NULL && i + 1 == argc) {
            fault = "a value is missing behind it";
        } else if (!flag->takes_value && value != NULL) {
            fault = "it takes no value";
        } else {
            if (flag->takes_value && value == NULL) {
                value = argv[++i];
            }
            fault = flag->take(sources, value);
        }
        if (fault != NULL) {
            snprintf(ret_problem, CONFIG_PROBLEM_TEXT_MAX,
                     "\"%.200s\": %s; \"sluice serve --help\" shows what there is", argv[i], fault);
            return SLUICE_E_INVALID;
        }
    }
    *ret_help = help;
    return SLUICE_OK;
}
