/* cli_produce.c: arguments or lines of standard input to records, in chunks of what is there. */
#include "cli/cli_command.h"
#include "control/base64.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_RECORDS_MAX 1000
#define INPUT_BYTES       (256 * 1024)
#define LINE_BYTES_MAX    (8u * 1024 * 1024)

struct producing {
    struct cli *cli;
    struct cli_link link;
    cJSON *records; /* of the chunk */
    uint64_t sent;
    char *input; /* what is not a whole line yet */
    size_t size, capacity;
};

/* "value" when the bytes can be JSON text, else "value_base64". */
static void bytes_add(cJSON *object, const char *key, const char *bytes, size_t size)
{
    char name[32];
    bool plain = true;
    for (size_t i = 0; i < size && plain; i++) {
        plain = bytes[i] != '\0' && (unsigned char)bytes[i] < 0x80;
    }
    char *text = malloc(base64_size(size) + size + 1);
    if (text == NULL) {
        return;
    }
    if (plain) {
        memcpy(text, bytes, size);
        text[size] = '\0';
    } else {
        base64_encode((struct sl_bytes){(const uint8_t *)bytes, size}, text);
    }
    snprintf(name, sizeof(name), "%s%s", key, plain ? "" : "_base64");
    cJSON_AddStringToObject(object, name, text);
    free(text);
}

static void headers_add(const struct cli *cli, cJSON *record)
{
    char name[1024];
    const struct cli_values *headers = &cli->options.header;
    cJSON *array = headers->count == 0 ? NULL : cJSON_AddArrayToObject(record, "headers");
    for (uint32_t i = 0; i < headers->count; i++) {
        const char *text = headers->items[i];
        size_t size = strcspn(text, "=");
        cJSON *header = cJSON_CreateObject();
        snprintf(name, sizeof(name), "%.*s", (int)size, text);
        cJSON_AddStringToObject(header, "key", name);
        if (text[size] == '=') {
            bytes_add(header, "value", text + size + 1, strlen(text + size + 1));
        }
        cJSON_AddItemToArray(array, header);
    }
}

static void record_add(struct producing *producing, const char *value, size_t size)
{
    cJSON *record = cJSON_CreateObject();
    const char *key = cli_value(&producing->cli->options.key, NULL);
    if (key != NULL) {
        bytes_add(record, "key", key, strlen(key));
    }
    bytes_add(record, "value", value, size);
    headers_add(producing->cli, record);
    cJSON_AddItemToArray(producing->records, record);
}

/* Sends the chunk, if there is one. */
static int chunk_send(struct producing *producing)
{
    struct cli *cli = producing->cli;
    cJSON *reply = NULL;
    int64_t partition = -1, acks = -1;
    int count = cJSON_GetArraySize(producing->records);
    if (count == 0) {
        return CLI_OK;
    }
    if (!cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &partition) ||
        !cli_number(&cli->options.acks, "--acks", -1, 1, -1, &acks)) {
        return CLI_USAGE;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", (double)partition);
    cJSON_AddNumberToObject(args, "acks", (double)acks);
    cJSON_AddItemToObject(args, "records", producing->records);
    producing->records = cJSON_CreateArray();
    int code = cli_call(&producing->link, "produce", args, &reply);
    if (code == CLI_OK) {
        producing->sent += (uint64_t)count;
        if (cli->options.json) {
            cli_json_write(cli_result(reply));
        }
    }
    cJSON_Delete(reply);
    return code;
}

/* Takes the whole lines of the input; `ended`: the last one needs no newline. */
static int lines_take(struct producing *producing, bool ended)
{
    size_t at = 0;
    int code = CLI_OK;
    while (at < producing->size && code == CLI_OK) {
        const char *line = producing->input + at;
        const char *newline = memchr(line, '\n', producing->size - at);
        if (newline == NULL && !ended) {
            break;
        }
        size_t size = newline == NULL ? producing->size - at : (size_t)(newline - line);
        record_add(producing, line, size);
        at += size + (newline != NULL);
        if (cJSON_GetArraySize(producing->records) == CHUNK_RECORDS_MAX) {
            code = chunk_send(producing);
        }
    }
    producing->size -= at;
    memmove(producing->input, producing->input + at, producing->size);
    return code == CLI_OK ? chunk_send(producing) : code;
}

static bool input_grow(struct producing *producing)
{
    if (producing->capacity - producing->size >= INPUT_BYTES) {
        return true;
    }
    size_t capacity = 2 * producing->capacity + INPUT_BYTES;
    char *input = producing->size > LINE_BYTES_MAX ? NULL : realloc(producing->input, capacity);
    if (input == NULL) {
        cli_complain("a line of standard input is longer than 8 MiB");
        return false;
    }
    producing->input = input;
    producing->capacity = capacity;
    return true;
}

static int input_read(struct producing *producing)
{
    for (;;) {
        size_t got = 0;
        if (!input_grow(producing)) {
            return CLI_DATA;
        }
        if (sl_descriptor_read(0, producing->input + producing->size, INPUT_BYTES, &got) !=
            SLUICE_OK) {
            cli_complain("standard input cannot be read");
            return CLI_IO;
        }
        producing->size += got;
        int code = lines_take(producing, got == 0);
        if (code != CLI_OK || got == 0) {
            return code;
        }
    }
}

static int values_send(struct producing *producing)
{
    const struct cli_options *options = &producing->cli->options;
    for (uint32_t i = 1; i < options->word_count; i++) {
        record_add(producing, options->words[i], strlen(options->words[i]));
    }
    return chunk_send(producing);
}

int cli_produce(struct cli *cli)
{
    struct producing producing = {.cli = cli};
    int code = cli_link_open(&producing.link, cli);
    if (code != CLI_OK) {
        return code;
    }
    producing.records = cJSON_CreateArray();
    code = cli->options.word_count > 1 ? values_send(&producing) : input_read(&producing);
    if (!cli->options.json) {
        fprintf(stderr, "%llu record%s to %s\n", (unsigned long long)producing.sent,
                producing.sent == 1 ? "" : "s", cli->options.words[0]);
    }
    cJSON_Delete(producing.records);
    free(producing.input);
    cli_link_close(&producing.link);
    return code != CLI_OK && code != CLI_UNREACHABLE && producing.sent > 0 ? CLI_PARTLY : code;
}
