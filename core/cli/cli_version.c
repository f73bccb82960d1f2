/* cli_version.c: which build this is: sluice --version, with --json in full. */
#include "cli/cli_table.h"

#include <sluice/plugin.h>
#include <string.h>

/* "libuv 1.44.2,…" as the build found them. */
static void libraries_add(cJSON *object)
{
    char text[] = SLUICE_LIBRARIES;
    char *rest = NULL;
    cJSON *libraries = cJSON_AddObjectToObject(object, "libraries");
    for (char *item = strtok_r(text, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        char *space = strchr(item, ' ');
        if (space != NULL) {
            *space = '\0';
            cJSON_AddStringToObject(libraries, item, space + 1);
        }
    }
}

static void features_add(cJSON *object)
{
    char text[] = SLUICE_FEATURES;
    char *rest = NULL;
    cJSON *features = cJSON_AddArrayToObject(object, "features");
    for (char *item = strtok_r(text, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        cJSON_AddItemToArray(features, cJSON_CreateString(item));
    }
}

cJSON *cli_version_json(void)
{
    char abi[32];
    cJSON *object = cJSON_CreateObject();
    snprintf(abi, sizeof(abi), "%u.%u", SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR);
    cJSON_AddStringToObject(object, "version", SLUICE_VERSION);
    cJSON_AddStringToObject(object, "commit", SLUICE_COMMIT);
    cJSON_AddStringToObject(object, "compiler", SLUICE_COMPILER);
    cJSON_AddStringToObject(object, "build", SLUICE_BUILD);
    cJSON_AddStringToObject(object, "plugin_abi", abi);
    features_add(object);
    libraries_add(object);
    return object;
}

bool cli_build_has(const char *feature)
{
    const size_t size = strlen(feature);
    const char *at = SLUICE_FEATURES;
    while (*at != '\0') {
        const size_t name_size = strcspn(at, ",");
        if (name_size == size && memcmp(at, feature, size) == 0) {
            return true;
        }
        at += name_size + (at[name_size] == ',');
    }
    return false;
}

void cli_version_write(bool json)
{
    if (!json) {
        printf("sluice " SLUICE_VERSION "\n");
        return;
    }
    cJSON *object = cli_version_json();
    cli_json_write(object);
    cJSON_Delete(object);
}
