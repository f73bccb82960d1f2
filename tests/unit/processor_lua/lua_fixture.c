/* lua_fixture: see the header. */
#include "lua_fixture.h"

#include <stdio.h>
#include <string.h>

static const struct sluice_processor *processor(void)
{
    static const struct sluice_plugin_descriptor *plugin;
    if (plugin == NULL) {
        plugin = test_host_open_module(SLUICE_BINARY_DIR "/lib/sluice/plugins/processor_lua.so");
        cr_assert_not_null(plugin);
    }
    return plugin->entry;
}

sluice_status lua_try(struct test_host *host, const char *source)
{
    if (host->host.size == 0) {
        test_host_init(host);
    }
    test_host_set_script(host, "test.lua", source);
    return test_host_start(host, processor());
}

void lua_start(struct test_host *host, const char *source)
{
    sluice_status status = lua_try(host, source);
    cr_assert_eq(status, SLUICE_OK, "%s", host->error);
}

void lua_start_process(struct test_host *host, const char *body)
{
    static char source[16384];
    snprintf(source, sizeof(source), "return { process = function(record) %s end }", body);
    lua_start(host, source);
}

const char *lua_eval(const char *body, const char *value)
{
    static char result[4096];
    struct test_host host = {0};
    lua_start_process(&host, body);
    sluice_status status = test_host_run_value(&host, value);
    cr_assert_eq(status, SLUICE_OK);
    cr_assert_null(host.violation, "%s", host.violation);
    const char *text = test_host_value(&host);
    if (host.verdict_count == 1 && host.verdicts[0].reason != NULL) {
        text = host.verdicts[0].reason;
    } else if (host.verdict_count != 1 || host.verdicts[0].kind != TEST_EMIT) {
        text = test_host_kinds(&host);
    }
    snprintf(result, sizeof(result), "%s", text);
    test_host_fini(&host);
    return result;
}
