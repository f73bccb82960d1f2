/* cli_record_text.c: see cli_record_text.h. */
#include "cli/cli_record_text.h"

#include "control/base64.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of "key" or "key_base64" go to stdout as they are. */
static void bytes_write(const cJSON *record, const char *key)
{
    char name[32];
    snprintf(name, sizeof(name), "%s_base64", key);
    const char *plain = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, key));
    const char *coded = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, name));
    if (coded != NULL) {
        size_t size = 0;
        uint8_t *bytes = malloc(strlen(coded) + 1);
        if (bytes != NULL && base64_decode(coded, strlen(coded), bytes, &size) == SLUICE_OK) {
            fwrite(bytes, 1, size, stdout);
        }
        free(bytes);
    } else if (plain != NULL) {
        fputs(plain, stdout);
    }
}

static void headers_write(const cJSON *record)
{
    const cJSON *header;
    const char *comma = "";
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(record, "headers"))
    {
        fputs(comma, stdout);
        bytes_write(header, "key");
        fputc('=', stdout);
        bytes_write(header, "value");
        comma = ",";
    }
}

static void field_write(char field, const char *topic, int32_t partition, const cJSON *record)
{
    char text[1024];
    switch (field) {
    case 't':
        fputs(topic, stdout);
        break;
    case 'p':
        printf("%d", partition);
        break;
    case 'o':
        fputs(cli_member_text(record, "offset", text), stdout);
        break;
    case 'T':
        fputs(cli_member_text(record, "timestamp", text), stdout);
        break;
    case 'k':
        bytes_write(record, "key");
        break;
    case 'v':
    case 's': /* as in kcat */
        bytes_write(record, "value");
        break;
    case 'h':
        headers_write(record);
        break;
    default:
        fputc(field, stdout);
        break;
    }
}

void cli_record_format(const char *format, const char *topic, int32_t partition,
                       const cJSON *record)
{
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '%' && at[1] != '\0') {
            field_write(*++at, topic, partition, record);
        } else if (*at == '\\' && at[1] != '\0') {
            at++;
            fputc(*at == 'n' ? '\n' : *at == 't' ? '\t' : *at == '0' ? '\0' : *at, stdout);
        } else {
            fputc(*at, stdout);
        }
    }
}
