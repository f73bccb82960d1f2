/* test_attacks.c: every row of the attack suite that `sluice sandbox selftest` runs: the plugin is
 * stopped as the row says, the plugin beside it works on, nothing outside is touched. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sandbox/selftest.h>
#include <stdio.h>
#include <string.h>

struct row {
    char name[64]; /* shown when it fails */
    uint32_t index;
};

static struct selftest *open_suite(bool no_listener)
{
    const struct selftest_options options = {
        .worker_path = SLUICE_BINARY_DIR "/bin/sluice-worker",
        .directory = SLUICE_BINARY_DIR "/lib/sluice/selftest",
        .lua_path = SLUICE_BINARY_DIR "/lib/sluice/plugins/processor_lua.so",
        .ffi_path = SLUICE_BINARY_DIR "/lib/sluice/plugins/processor_ffi.so",
        .no_listener = no_listener,
    };
    char text[SANDBOX_TEXT_SIZE_MAX] = "";
    struct selftest *selftest = NULL;

    cr_assert_eq(selftest_open(&options, &selftest, text, sizeof(text)), SLUICE_OK, "%s", text);
    return selftest;
}

ParameterizedTestParameters(attacks, each_is_stopped_and_disturbs_nobody)
{
    static struct row rows[512];
    const uint32_t count = selftest_count();

    for (uint32_t i = 0; i < count && i < 512; i++) {
        snprintf(rows[i].name, sizeof(rows[i].name), "%s", selftest_attack(i)->name);
        rows[i].index = i;
    }
    return cr_make_param_array(struct row, rows, count);
}

ParameterizedTest(struct row *param, attacks, each_is_stopped_and_disturbs_nobody)
{
    struct selftest *selftest = open_suite(false);
    struct selftest_result result;

    selftest_run(selftest, param->index, &result);
    cr_assert(result.held, "%s: %s: %s", param->name, result.ended, result.text);
    selftest_close(selftest);
}

Test(attacks, there_are_enough_and_their_names_differ)
{
    cr_assert_geq(selftest_count(), 60);
    for (uint32_t i = 0; i < selftest_count(); i++) {
        for (uint32_t k = 0; k < i; k++) {
            cr_assert_str_neq(selftest_attack(i)->name, selftest_attack(k)->name);
        }
        /* The name is the instance's: it must reach the worker whole. */
        cr_assert_lt(strlen(selftest_attack(i)->name), SANDBOX_NAME_SIZE_MAX);
    }
}

/* A kernel, or a container, without a listener to give: the filters kill, nobody names the call. */
Test(attacks, hold_without_a_listener, .timeout = 120)
{
    struct selftest *selftest = open_suite(true);
    struct selftest_result result;

    cr_assert_not(selftest_report(selftest)->listener);
    for (uint32_t i = 0; i < selftest_count(); i++) {
        if (strcmp(selftest_attack(i)->group, "calls") == 0) {
            selftest_run(selftest, i, &result);
            cr_expect(result.held, "%s: %s: %s", result.attack->name, result.ended, result.text);
        }
    }
    selftest_close(selftest);
}
