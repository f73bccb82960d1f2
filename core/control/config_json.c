/* config_json.c: a tree as JSON (RFC 8259), numbers digit for digit as they were written. */
#include "control/config_tree.h"

#include <string.h>

static const char *digits_skip(const char *at)
{
    return at + strspn(at, "0123456789");
}

/* The grammar of RFC 8259, section 6. */
static bool is_json_number(const char *text)
{
    const char *at = text + (*text == '-');
    if (*at < '0' || *at > '9') {
        return false;
    }
    at = *at == '0' ? at + 1 : digits_skip(at);
    if (*at == '.') {
        const char *end = digits_skip(at + 1);
        if (end == at + 1) {
            return false;
        }
        at = end;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        const char *end = digits_skip(at);
        if (end == at) {
            return false;
        }
        at = end;
    }
    return *at == '\0';
}

static bool is_json_literal(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "null") == 0;
}

static void string_write(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(out, "\\%c", *at);
        } else if (*at < 0x20) {
            fprintf(out, "\\u%04x", *at);
        } else {
            fputc(*at, out);
        }
    }
    fputc('"', out);
}

static void scalar_write(const struct config_node *node, FILE *out)
{
    if (!node->quoted && (is_json_number(node->text) || is_json_literal(node->text))) {
        fputs(node->text, out);
    } else if (!node->quoted && node->text[0] == '\0') {
        fputs("null", out); /* `key:` with nothing behind it */
    } else {
        string_write(node->text, out);
    }
}

void config_node_write_json(const struct config_node *node, FILE *out)
{
    if (node->kind == CONFIG_SCALAR) {
        scalar_write(node, out);
        return;
    }
    bool is_map = node->kind == CONFIG_MAP;
    fputc(is_map ? '{' : '[', out);
    for (const struct config_node *child = node->first; child != NULL; child = child->next) {
        if (is_map) {
            string_write(child->key, out);
            fputc(':', out);
        }
        config_node_write_json(child, out);
        if (child->next != NULL) {
            fputc(',', out);
        }
    }
    fputc(is_map ? '}' : ']', out);
}
