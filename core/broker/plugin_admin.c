/* plugin_admin.c: see plugin_admin.h. */
#include "broker/plugin_admin.h"

#include "base/text.h"
#include "broker/sluice_state.h"
#include "control/base64.h"
#include "plugin/plugin_version.h"

#include <cjson/cJSON.h>
#include <string.h>

struct waiting {
    admin_storage_done *done;
    void *done_arg;
    struct shard *home;
};

/* ---- the answer ---- */

static void add_moves(cJSON *object, const struct plugin_outcome *outcome)
{
    cJSON *array = cJSON_AddArrayToObject(object, "moves");
    for (uint32_t i = 0; i < outcome->move_count; i++) {
        const struct plugin_move *move = &outcome->moves[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "topic", move->topic);
        cJSON_AddNumberToObject(entry, "partition", move->partition);
        admin_add_int64(entry, "before", move->before);
        admin_add_int64(entry, "after", move->after);
        cJSON_AddItemToArray(array, entry);
    }
}

static void ended(void *arg, const struct plugin_outcome *outcome)
{
    struct waiting *waiting = arg;
    cJSON *object = NULL;
    if (outcome->err == SLUICE_OK) {
        object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "text", outcome->text);
        cJSON_AddBoolToObject(object, "changed", outcome->changed);
        if (outcome->moves != NULL) {
            add_moves(object, outcome);
        }
    }
    waiting->done(waiting->done_arg, outcome->err, outcome->text, object);
    shard_request_end(waiting->home);
    sl_free(waiting);
}

/* ---- the request ---- */

static const char *text_of(const cJSON *args, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, key));
}

static int64_t number_of(const cJSON *args, const char *key, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, key);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 1e15
               ? (int64_t)item->valuedouble
               : fallback;
}

/* "start", "end", "+7", "-7", "42", "@1770000000000" */
static bool take_target(const char *text, struct plugin_command *command)
{
    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "start") == 0 || strcmp(text, "end") == 0) {
        command->seek_to = text[0] == 's' ? PLUGIN_SEEK_START : PLUGIN_SEEK_END;
        return true;
    }
    command->seek_to = text[0] == '@'   ? PLUGIN_SEEK_TIME
                       : text[0] == '+' ? PLUGIN_SEEK_START
                       : text[0] == '-' ? PLUGIN_SEEK_END
                                        : PLUGIN_SEEK_OFFSET;
    struct sl_bytes number =
        sl_bytes_of_text(text + (command->seek_to != PLUGIN_SEEK_OFFSET)); /* behind the sign */
    return sl_text_parse_i64(number, &command->seek_value) == SLUICE_OK && command->seek_value >= 0;
}

static bool take_partition(const cJSON *args, struct plugin_command *command)
{
    const cJSON *partition = cJSON_GetObjectItemCaseSensitive(args, "partition");
    command->partition = -1;
    if (partition == NULL) {
        return true;
    }
    command->partition = cJSON_IsNumber(partition) ? (int64_t)partition->valuedouble : -1;
    return command->partition >= 0;
}

static int32_t kind_of(const char *command)
{
    const char *dot = strchr(command, '.');
    for (int32_t i = 0; dot != NULL && i < PLUGIN_COMMAND_COUNT; i++) {
        if (strcmp(plugin_command_word(i), dot + 1) == 0) {
            return i;
        }
    }
    return -1;
}

/* What is wrong with it; NULL: nothing. *ret_owned is freed by the caller. */
static const char *take_command(const char *word, const cJSON *args, struct plugin_command *command,
                                uint8_t **ret_owned)
{
    const char *plain = text_of(args, "data");
    const char *coded = text_of(args, "data_base64");
    *command = (struct plugin_command){
        .kind = kind_of(word),
        .name = text_of(args, "name"),
        .who = "User:admin",
        .confirmed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, "confirmed")) ||
                     admin_is_dry(args), /* nothing that would have to be */
        .dry_run = admin_is_dry(args),
        .topic = text_of(args, "topic"),
        .shadow_records = number_of(args, "shadow", 0),
        .shadow_max_diff_percent = number_of(args, "max_diff", 100),
    };
    if (command->kind < 0 || command->name == NULL || command->name[0] == '\0' ||
        strlen(command->name) >= PLUGIN_FILE_BYTES) {
        return "\"name\" is missing or too long";
    }
    if (!take_partition(args, command)) {
        return "\"partition\" must be a number from 0";
    }
    if (command->kind == PLUGIN_COMMAND_SEEK && !take_target(text_of(args, "to"), command)) {
        return "\"to\" must be start, end, +N, -N, an offset, or @ and milliseconds since 1970";
    }
    if (command->kind == PLUGIN_COMMAND_LOAD && plain == NULL && coded == NULL) {
        return "\"data\" or \"data_base64\" is missing: what is in the file";
    }
    if (coded != NULL) {
        size_t size = strlen(coded);
        *ret_owned = sl_alloc(size + 1);
        if (*ret_owned == NULL ||
            base64_decode(coded, size, *ret_owned, &command->bytes.size) != SLUICE_OK) {
            return "\"data_base64\" is not base64";
        }
        command->bytes.data = *ret_owned;
    } else if (plain != NULL) {
        command->bytes = sl_bytes_of_text(plain);
    }
    return NULL;
}

void plugin_admin_run(struct sluice *sluice, const char *word, const cJSON *args,
                      admin_storage_done *done, void *done_arg)
{
    struct plugin_command command;
    uint8_t *owned = NULL;
    const char *wrong = take_command(word, args, &command, &owned);
    struct waiting *waiting = wrong == NULL ? sl_alloc_zero(1, sizeof(*waiting)) : NULL;
    if (wrong != NULL || waiting == NULL || sluice->stopping || !sluice->plugins_started) {
        sl_err err = wrong != NULL      ? SLUICE_E_INVALID
                     : waiting == NULL  ? SLUICE_E_NO_MEMORY
                     : sluice->stopping ? SLUICE_E_STOPPING
                                        : SLUICE_E_BUSY;
        done(done_arg, err, wrong != NULL ? wrong : "", NULL);
        sl_free(waiting);
    } else {
        *waiting = (struct waiting){done, done_arg, sluice->shards.shards[0]};
        shard_request_begin(waiting->home);
        plugin_manager_command(sluice->plugins, &command, ended, waiting);
    }
    sl_free(owned);
}
