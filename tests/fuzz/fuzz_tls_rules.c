/* fuzz_tls_rules.c: mapping rules and the name that they are applied to, parted by a newline: any
 * text is refused with a reason or taken, what a pattern finds lies in the name, a match of the
 * whole is one, and no pattern takes longer than program times name. */
#include "tls/name_pattern.h"
#include "tls/tls_rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_BYTES_MAX 512u

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void try_rules(const char *text, const char *name)
{
    char why[TLS_RULES_WHY_BYTES] = "";
    char mapped[TLS_PRINCIPAL_BYTES_MAX + 1u];
    struct tls_rules *rules = NULL;
    if (tls_rules_new(text, &rules, why) != SLUICE_OK) {
        expect(why[0] != '\0');
        return;
    }
    if (tls_rules_apply(rules, name, mapped) == SLUICE_OK) {
        expect(mapped[0] != '\0' && strlen(mapped) <= TLS_PRINCIPAL_BYTES_MAX);
    }
    tls_rules_free(rules);
}

static void try_pattern(struct sl_bytes text, struct sl_bytes name)
{
    char why[NAME_PATTERN_WHY_BYTES] = "";
    struct name_pattern *pattern = NULL;
    struct name_match match;
    if (name_pattern_new(text, &pattern, why) != SLUICE_OK) {
        expect(why[0] != '\0');
        return;
    }
    if (name_pattern_find(pattern, name, 0, true, &match) == SLUICE_OK) {
        expect(match.at[0][0] == 0 && match.at[0][1] == name.size);
        expect(name_pattern_find(pattern, name, 0, false, &match) == SLUICE_OK);
    }
    if (name_pattern_find(pattern, name, 0, false, &match) == SLUICE_OK) {
        for (uint32_t i = 0; i <= name_pattern_groups(pattern); i++) {
            bool took = match.at[i][0] != SIZE_MAX && match.at[i][1] != SIZE_MAX;
            expect(!took || (match.at[i][0] <= match.at[i][1] && match.at[i][1] <= name.size));
        }
    }
    name_pattern_free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2 * TEXT_BYTES_MAX];
    if (size >= sizeof(text) || memchr(data, 0, size) != NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char *newline = memchr(text, '\n', size);
    const char *name = newline != NULL ? newline + 1 : text + size;
    if (newline != NULL) {
        *newline = '\0';
    }
    try_rules(text, name);
    try_pattern((struct sl_bytes){(const uint8_t *)text, strlen(text)},
                (struct sl_bytes){(const uint8_t *)name, strlen(name)});
    return 0;
}
