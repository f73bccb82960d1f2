/* The SDK as a stranger meets it: compiled by other compilers, packaged, with its templates and
 * examples. Runs cc, c++, clang, cmake and pkg-config in a directory of its own under /tmp. */
#include "test_host.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT SLUICE_SOURCE_DIR

static char work[64];

static void make_work(void)
{
    snprintf(work, sizeof(work), "/tmp/sluice-sdk-XXXXXX");
    cr_assert_not_null(mkdtemp(work));
}

/* Runs a command in `work`; its output shows only when it fails. */
__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[2048];
    char wrapped[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    snprintf(wrapped, sizeof(wrapped), "cd %s && (%s) >out 2>&1 || { cat out; false; }", work,
             command);
    int status = system(wrapped);
    if (status != 0) {
        fprintf(stderr, "failed: %s\n", command);
    }
    return status;
}

static void remove_work(void)
{
    cr_assert_eq(run("rm -rf %s", work), 0);
}

TestSuite(sdk, .init = make_work, .fini = remove_work, .timeout = 120);

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", work, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

/* A whole plugin, as short as it can be; positional initialisers, so that it is C++17 too. */
static const char *const shortest_plugin =
    "#include <sluice/sluice.h>\n"
    "SLUICE_MANIFEST(\"{\\\"id\\\":\\\"tiny\\\",\\\"version\\\":\\\"1.0.0\\\"}\");\n"
    "static sluice_status create(const struct sluice_host *host, void **ret_self)\n"
    "{\n"
    "    *ret_self = (void *)host;\n"
    "    return SLUICE_OK;\n"
    "}\n"
    "static sluice_status process(void *self, const struct sluice_batch *batch,\n"
    "                             const struct sluice_writer *writer)\n"
    "{\n"
    "    (void)self; (void)batch;\n"
    "    return writer->drop(writer, 0);\n"
    "}\n"
    "static void destroy(void *self) { (void)self; }\n"
    "static const struct sluice_processor entry = {\n"
    "    sizeof(entry), 0, create, NULL, NULL, NULL, process, NULL, NULL, NULL, destroy};\n"
    "SLUICE_PLUGIN(sizeof(struct sluice_plugin_descriptor), SLUICE_PLUGIN_MAGIC, "
    "SLUICE_ABI_MAJOR,\n"
    "              SLUICE_ABI_MINOR, SLUICE_KIND_PROCESSOR, \"tiny\", \"1.0.0\", NULL, &entry);\n";

Test(sdk, every_header_compiles_alone_and_clean_as_c11_and_cpp17)
{
    static const char *const headers[] = {"types",    "status", "plugin", "processor",
                                          "frontend", "broker", "sluice"};
    static const char *const compilers[] = {"gcc -x c -std=c11", "clang -x c -std=c11",
                                            "g++ -x c++ -std=c++17", "clang++ -x c++ -std=c++17"};
    for (size_t h = 0; h < sizeof(headers) / sizeof(headers[0]); h++) {
        for (size_t c = 0; c < sizeof(compilers) / sizeof(compilers[0]); c++) {
            cr_expect_eq(run("echo '#include <sluice/%s.h>' | %s -pedantic -Wall -Wextra -Werror "
                             "-fsyntax-only -I %s/sdk/include -",
                             headers[h], compilers[c], ROOT),
                         0);
        }
    }
}

Test(sdk, a_plugin_of_twenty_lines_builds_with_cc_alone_and_runs)
{
    write_file("tiny.c", shortest_plugin);
    cr_assert_eq(run("cc -shared -fPIC -I %s/sdk/include -o tiny.so tiny.c", ROOT), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/tiny.so", work);
    const struct sluice_plugin_descriptor *plugin = test_host_open_module(path);
    cr_assert_not_null(plugin);
    struct test_host host;
    test_host_init(&host);
    cr_assert_eq(test_host_start(&host, plugin->entry), SLUICE_OK);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "D");
    test_host_fini(&host);
}

Test(sdk, the_same_plugin_builds_as_cpp17_with_the_symbol_of_c)
{
    write_file("tiny.cpp", shortest_plugin);
    cr_expect_eq(run("g++ -std=c++17 -pedantic -Wall -Wextra -Werror -shared -fPIC "
                     "-I %s/sdk/include -o g.so tiny.cpp && nm -D g.so | grep -w sluice_plugin",
                     ROOT),
                 0);
    cr_expect_eq(run("clang++ -std=c++17 -pedantic -Wall -Wextra -Werror -shared -fPIC "
                     "-I %s/sdk/include -o c.so tiny.cpp && nm -D c.so | grep -w sluice_plugin",
                     ROOT),
                 0);
}

Test(sdk, the_manifest_is_an_elf_note_that_survives_strip)
{
    write_file("tiny.c", shortest_plugin);
    cr_assert_eq(
        run("cc -shared -fPIC -O2 -I %s/sdk/include -o tiny.so tiny.c && strip tiny.so", ROOT), 0);
    cr_expect_eq(run("readelf -nW tiny.so | grep -w Sluice && readelf -p .note.sluice.manifest "
                     "tiny.so | grep -F '{\"id\":\"tiny\",\"version\":\"1.0.0\"}'"),
                 0);
}

Test(sdk, the_installed_package_serves_cmake_and_pkg_config)
{
    cr_assert_eq(
        run("cmake --install %s --component sdk --prefix %s/prefix", SLUICE_BINARY_DIR, work), 0);
    cr_expect_eq(run("cmake -S %s/examples/uppercase_c -B b -DCMAKE_PREFIX_PATH=%s/prefix && "
                     "cmake --build b && test -f b/uppercase.so",
                     ROOT, work),
                 0);
    write_file("tiny.c", shortest_plugin);
    cr_expect_eq(run("cc -shared -fPIC $(PKG_CONFIG_PATH=%s/prefix/share/pkgconfig pkg-config "
                     "--cflags sluice) -o tiny.so tiny.c",
                     work),
                 0);
}

Test(sdk, examples_and_templates_build_from_the_source_tree)
{
    static const char *const projects[] = {"examples/uppercase_c", "examples/logging",
                                           "sdk/template/processor_c", "sdk/template/frontend"};
    for (size_t i = 0; i < sizeof(projects) / sizeof(projects[0]); i++) {
        cr_expect_eq(run("cmake -S %s/%s -B b%zu -DSluice_DIR=%s/sdk/cmake "
                         "-DCMAKE_C_FLAGS='-std=c11 -pedantic -Wall -Wextra -Werror' && "
                         "cmake --build b%zu",
                         ROOT, projects[i], i, ROOT, i),
                     0);
    }
}

/* Builds a C file of the tree and starts it. */
static void start_source(struct test_host *host, const char *source)
{
    cr_assert_eq(run("cc -shared -fPIC -I %s/sdk/include -o it.so %s/%s", ROOT, ROOT, source), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/it.so", work);
    const struct sluice_plugin_descriptor *plugin = test_host_open_module(path);
    cr_assert_not_null(plugin);
    cr_assert_eq(test_host_start(host, plugin->entry), SLUICE_OK, "%s", host->error);
}

Test(sdk, uppercase_raises_letters_and_keeps_the_rest)
{
    struct test_host host;
    test_host_init(&host);
    start_source(&host, "examples/uppercase_c/uppercase.c");
    cr_assert_eq(test_host_run_value(&host, "abc 1 \xc3\xa4"), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "ABC 1 \xc3\xa4");
    cr_assert_eq(test_host_run_value(&host, NULL), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "P");
    cr_expect_null(host.violation, "%s", host.violation);
    test_host_fini(&host);
}

Test(sdk, logging_stamps_a_header_and_reads_its_level_with_a_fallback)
{
    struct test_host host;
    test_host_init(&host);
    start_source(&host, "examples/logging/c/logging.c");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_eq(host.verdict_count, 1);
    cr_assert_eq(host.verdicts[0].header_count, 1);
    cr_expect_str_eq(host.verdicts[0].headers[0].key.data, "processed_at");
    cr_expect_gt(atoll((const char *)host.verdicts[0].headers[0].value.data), 1600000000000LL);
    cr_expect_eq(host.lines[0].level, SLUICE_LOG_INFO);

    test_host_set(&host, "log_level", "loud");
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_E_PLUGIN_CONFIG);
    cr_expect_not_null(strstr(host.error, "log_level"));
    host.config[0].value = "warn";
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_OK);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_eq(host.lines[host.line_count - 1].level, SLUICE_LOG_WARN);
    test_host_fini(&host);
}

Test(sdk, the_processor_template_passes_drops_and_rejects)
{
    struct test_host host;
    test_host_init(&host);
    test_host_set(&host, "drop_key", "noise");
    start_source(&host, "sdk/template/processor_c/plugin.c");
    const struct sluice_record records[] = {test_record("k", "v", 0), test_record("noise", "v", 1),
                                            test_record("k", NULL, 2)};
    cr_assert_eq(test_host_run(&host, "in", records, 3), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "PDR");
    test_host_fini(&host);
}

/* The frontend template on a host that only collects what is written. */
static char written[256];

static sluice_status collect(const struct sluice_frontend_host *host, uint64_t connection,
                             const struct sluice_piece *pieces, uint32_t count)
{
    (void)host;
    (void)connection;
    for (uint32_t i = 0; i < count; i++) {
        strncat(written, (const char *)pieces[i].bytes.data, (size_t)pieces[i].bytes.size);
    }
    return SLUICE_OK;
}

static const struct sluice_frontend_host frontend_host = {.size = sizeof(frontend_host),
                                                          .conn_write = collect};

static const void *offer_frontend(const struct sluice_host *host, const char *id)
{
    (void)host;
    return strcmp(id, SLUICE_EXT_FRONTEND) == 0 ? &frontend_host : NULL;
}

Test(sdk, the_frontend_template_answers_lines_and_leaves_half_a_line)
{
    cr_assert_eq(run("cc -shared -fPIC -I %s/sdk/include -o it.so "
                     "%s/sdk/template/frontend/plugin.c",
                     ROOT, ROOT),
                 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/it.so", work);
    const struct sluice_plugin_descriptor *plugin = test_host_open_module(path);
    cr_assert_not_null(plugin);
    cr_assert_eq(plugin->kind, SLUICE_KIND_FRONTEND);
    const struct sluice_frontend *frontend = plugin->entry;
    const struct sluice_host host = {.size = sizeof(host), .get_extension = offer_frontend};
    void *self;
    void *conn;
    cr_assert_eq(frontend->create(&host, &self), SLUICE_OK);
    const struct sluice_connection connection = {.size = sizeof(connection), .token = 9};
    cr_assert_eq(frontend->conn_open(self, &connection, &conn), SLUICE_OK);
    const char *input = "PING\r\nECHO hi\nPIN";
    uint64_t at = 0;
    uint64_t consumed = 1;
    uint64_t wanted = 0;
    while (consumed > 0) { /* as the host does */
        const struct sluice_bytes rest = {(const uint8_t *)input + at, strlen(input) - at};
        cr_assert_eq(frontend->conn_input(self, conn, rest, &consumed, &wanted), SLUICE_OK);
        at += consumed;
    }
    cr_expect_str_eq(written, "PONG\r\nhi\r\n");
    cr_expect_eq(at, strlen("PING\r\nECHO hi\n"));
    frontend->conn_closed(self, conn);
    frontend->destroy(self);
}
