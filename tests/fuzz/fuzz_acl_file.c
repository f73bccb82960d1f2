/* fuzz_acl_file.c: files of access rules and the items of rules: any bytes give rules that could be
 * made by hand, or one sentence; what was read is written and read back the same. */
#include "admit/acl_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_item(const struct sluice_acl *rule)
{
    struct sl_bytes payload;
    struct sluice_acl back;
    bool gone = true;
    if (acl_item_encode(rule, false, &payload) != SLUICE_OK ||
        acl_item_decode(ACL_ITEM_VERSION, payload, &back, &gone) != SLUICE_OK || gone ||
        back.operation != rule->operation || back.name.size != rule->name.size) {
        abort();
    }
    free((void *)(uintptr_t)payload.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    char why[ACL_FILE_WHY_BYTES] = "";
    struct acl_rules rules;
    struct sluice_acl rule;
    bool gone = false;
    memcpy(exact, data, size);
    if (acl_file_parse((struct sl_bytes){exact, size}, &rules, why) == SLUICE_OK) {
        for (uint32_t i = 0; i < rules.count; i++) {
            struct sluice_acl view = acl_view(rules.rules[i]);
            check_item(&view);
        }
        acl_rules_fini(&rules);
    } else if (why[0] == '\0') {
        abort(); /* a refusal says why */
    }
    if (acl_item_decode(ACL_ITEM_VERSION, (struct sl_bytes){exact, size}, &rule, &gone) ==
        SLUICE_OK) {
        check_item(&rule);
    }
    free(exact);
    return 0;
}
