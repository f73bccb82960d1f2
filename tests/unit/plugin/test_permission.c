/* test_permission.c: words of manifest and configuration; a plugin has what both say. */
#include "plugin/plugin_permission.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void add(struct plugin_permissions *permissions, const char *text)
{
    char reason[PERMISSION_REASON_BYTES] = "";
    cr_assert_eq(plugin_permission_add(permissions, text, reason), SLUICE_OK, "%s", reason);
}

Test(permission, a_plugin_has_what_manifest_and_configuration_both_say)
{
    struct plugin_permissions asked = {.count = 0};
    struct plugin_permissions granted = {.count = 0};
    struct plugin_permissions has;
    char text[PERMISSION_NAME_BYTES + 32];
    add(&asked, "read-only /etc/a.csv");
    add(&asked, "network-client geo.example.org:7000");
    add(&granted, "network-client geo.example.org:7000");
    add(&granted, "network-client geo.example.org:7001");
    add(&granted, "network-client geo.example.org:7000"); /* twice is once */
    cr_assert_eq(granted.count, 2);
    plugin_permission_both(&asked, &granted, &has);
    cr_assert_eq(has.count, 1);
    plugin_permission_text(&has.items[0], text, sizeof(text));
    cr_assert_str_eq(text, "network-client geo.example.org:7000");
}

Test(permission, a_manifest_can_ask_for_any_library_that_is_granted)
{
    struct plugin_permissions asked = {.count = 0};
    struct plugin_permissions granted = {.count = 0};
    struct plugin_permissions has;
    add(&asked, "library *");
    add(&granted, "library libm.so.6");
    add(&granted, "library /opt/x/libuser.so");
    add(&granted, "read-only /etc/a.csv");
    plugin_permission_both(&asked, &granted, &has);
    cr_assert_eq(has.count, 2);
    cr_assert_str_eq(has.items[0].name, "libm.so.6");
    cr_assert_str_eq(has.items[1].name, "/opt/x/libuser.so");
}

Test(permission, any_library_cannot_be_granted)
{
    struct plugin_permissions any = {.count = 0};
    struct plugin_permissions has;
    add(&any, "library *");
    plugin_permission_both(&any, &any, &has);
    cr_assert_eq(has.count, 0);
}

Test(permission, a_library_is_a_name_or_an_absolute_path)
{
    static const char *const bad[] = {"library", "library x/y.so", "library ./y.so",
                                      "library /a/../b.so", "library libm.so.6 libz.so.1"};
    struct plugin_permissions permissions = {.count = 0};
    char reason[PERMISSION_REASON_BYTES] = "";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(plugin_permission_add(&permissions, bad[i], reason), SLUICE_E_INVALID, "%s",
                     bad[i]);
        cr_expect(strstr(reason, "library NAME") != NULL);
    }
}

Test(permission, there_is_a_bound)
{
    struct plugin_permissions permissions = {.count = 0};
    char reason[PERMISSION_REASON_BYTES] = "";
    char text[64];
    for (uint32_t i = 0; i < PERMISSIONS_MAX; i++) {
        snprintf(text, sizeof(text), "read-only /file/%u", i);
        add(&permissions, text);
    }
    cr_assert_eq(plugin_permission_add(&permissions, "read-only /one/more", reason),
                 SLUICE_E_LIMIT);
    cr_assert(strstr(reason, "more than 8") != NULL);
}
