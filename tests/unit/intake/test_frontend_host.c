/* test_frontend_host.c: which modules are frontends, and when an instance ends. */
#include "intake_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct fixture f;

static bool is_destroyed(struct fixture *fixture)
{
    return fixture->fake.destroyed == 1;
}

static void drain_with_calls_pending(struct fixture *fixture)
{
    fixture->calls_pending = true;
    frontend_drain(fixture->frontend);
    fixture->frontend = NULL;
}

static bool is_closed_and_alive(struct fixture *fixture)
{
    return fixture->fake.closed == 1 && fixture->intake.connection_count == 0 &&
           fixture->fake.destroyed == 0;
}

static void end_calls(struct fixture *fixture)
{
    fixture->calls_pending = false;
    intake_calls_ended(&fixture->intake);
}

Test(frontend_host, an_instance_outlives_the_calls_whose_done_is_its_own, .timeout = 60)
{
    fixture_open(&f, 1u << 20, 4);
    int peer = fixture_connect(&f);
    fixture_on_loop(&f, drain_with_calls_pending);
    cr_assert(fixture_wait(&f, is_closed_and_alive));
    fixture_on_loop(&f, end_calls);
    cr_assert(fixture_wait(&f, is_destroyed));
    close(peer);
    fixture_close(&f);
}

static void connect_late(struct fixture *fixture)
{
    struct frontend draining = {.intake = &fixture->intake, .draining = true};
    conn_start(&fixture->intake, &draining, NULL, dup(0), "late");
}

Test(frontend_host, takes_no_connection_while_it_drains, .timeout = 60)
{
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, connect_late);
    cr_assert_eq(f.intake.refused_total, 1);
    cr_assert_eq(f.intake.connection_count, 0);
    fixture_close(&f);
}

static void check_config(struct fixture *fixture)
{
    const struct sluice_host *host = &fixture->frontend->host;
    struct sluice_text fallback = sluice_text_of("none");
    cr_assert_str_eq(host->get_config(host, "listen", fallback).data, "here");
    cr_assert_str_eq(host->get_config(host, "deep.er", fallback).data, "7");
    cr_assert_str_eq(host->get_config(host, "deep.est", fallback).data, "none");
    cr_assert_str_eq(host->get_config(host, "", fallback).data, "none");
}

Test(frontend_host, reads_configuration_by_path, .timeout = 60)
{
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, check_config);
    fixture_close(&f);
}

/* ---- frontend_check ---- */

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    (void)host;
    (void)ret_self;
    return SLUICE_OK;
}
static void destroy(void *self)
{
    (void)self;
}
static sluice_status opened(void *self, const struct sluice_connection *connection, void **ret_conn)
{
    (void)self;
    (void)connection;
    (void)ret_conn;
    return SLUICE_OK;
}
static sluice_status input(void *self, void *conn, struct sluice_bytes bytes, uint64_t *consumed,
                           uint64_t *wanted)
{
    (void)self;
    (void)conn;
    (void)bytes;
    (void)consumed;
    (void)wanted;
    return SLUICE_OK;
}
static void closed(void *self, void *conn)
{
    (void)self;
    (void)conn;
}

static const char *const offered[] = {SLUICE_EXT_BROKER, SLUICE_EXT_FRONTEND, NULL};
static const char *const unknown[] = {SLUICE_EXT_BROKER, "org.example.moon/1", NULL};

static struct sluice_frontend good_ops(void)
{
    return (struct sluice_frontend){.size = sizeof(struct sluice_frontend),
                                    .create = create,
                                    .destroy = destroy,
                                    .conn_open = opened,
                                    .conn_input = input,
                                    .conn_closed = closed};
}

static struct sluice_plugin_descriptor good_descriptor(const struct sluice_frontend *ops)
{
    return (struct sluice_plugin_descriptor){.size = sizeof(struct sluice_plugin_descriptor),
                                             .magic = SLUICE_PLUGIN_MAGIC,
                                             .abi_major = SLUICE_ABI_MAJOR,
                                             .abi_minor = SLUICE_ABI_MINOR,
                                             .kind = SLUICE_KIND_FRONTEND,
                                             .id = "f",
                                             .version = "1",
                                             .required_extensions = offered,
                                             .entry = ops};
}

static void refused(const struct sluice_plugin_descriptor *descriptor, const char *because)
{
    char reason[256] = "";
    cr_assert_eq(frontend_check(descriptor, reason, sizeof(reason)), SLUICE_E_PLUGIN_ABI);
    cr_assert_not_null(strstr(reason, because), "'%s' does not say '%s'", reason, because);
}

Test(frontend_host, refuses_what_is_not_a_frontend_of_this_abi_and_says_why)
{
    struct sluice_frontend ops = good_ops();
    struct sluice_plugin_descriptor d = good_descriptor(&ops);
    char reason[256] = "";
    cr_assert_eq(frontend_check(&d, reason, sizeof(reason)), SLUICE_OK);
    d.magic++;
    refused(&d, "not a Sluice plugin");
    d = good_descriptor(&ops);
    d.size--;
    refused(&d, "not a Sluice plugin");
    d = good_descriptor(&ops);
    d.abi_major++;
    refused(&d, "built for ABI");
    d = good_descriptor(&ops);
    d.abi_minor++;
    refused(&d, "built for ABI");
    d = good_descriptor(&ops);
    d.required_extensions = unknown;
    refused(&d, "org.example.moon/1");
    d = good_descriptor(&ops);
    d.kind = SLUICE_KIND_FRONTEND + 1;
    refused(&d, "not a frontend");
    d = good_descriptor(NULL);
    refused(&d, "not a frontend");
    ops.size = offsetof(struct sluice_frontend, conn_drained); /* as it was before that */
    d = good_descriptor(&ops);
    cr_assert_eq(frontend_check(&d, reason, sizeof(reason)), SLUICE_OK);
    ops.size--;
    d = good_descriptor(&ops);
    refused(&d, "not a frontend");
}

Test(frontend_host, refuses_a_frontend_that_leaves_out_a_call)
{
    for (int missing = 0; missing < 5; missing++) {
        struct sluice_frontend ops = good_ops();
        ops.create = missing == 0 ? NULL : ops.create;
        ops.destroy = missing == 1 ? NULL : ops.destroy;
        ops.conn_open = missing == 2 ? NULL : ops.conn_open;
        ops.conn_input = missing == 3 ? NULL : ops.conn_input;
        ops.conn_closed = missing == 4 ? NULL : ops.conn_closed;
        struct sluice_plugin_descriptor d = good_descriptor(&ops);
        refused(&d, "leaves out");
    }
}
