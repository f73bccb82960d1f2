/* test_resource.c: files and connections that the host opens for a worker. */
#include "toy_host.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/sluice-resource-XXXXXX";

static void make_file(void)
{
    const int file = mkstemp(path);

    cr_assert_eq(write(file, "hello", 5), 5);
    close(file);
}

static int listen_here(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

static void expect_text(const struct sandbox_event *event, const char *text)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;

    sandbox_result_reader_init(&reader, &event->result);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert_eq(verdict.value.size, strlen(text), "%.*s", (int)verdict.value.size,
                 (const char *)verdict.value.data);
    cr_assert_eq(memcmp(verdict.value.data, text, strlen(text)), 0);
}

Test(resource, a_worker_uses_what_the_host_opened_and_nothing_else)
{
    struct sandbox_resource resources[2] = {{.kind = SANDBOX_RESOURCE_FILE},
                                            {.kind = SANDBOX_RESOURCE_CONNECTION}};
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_spawn spawn;
    struct sandbox_task task;
    struct toy_host host;
    char peer[64];
    char wanted[256];
    char line[16];
    uint16_t port;
    const int listener = listen_here(&port);
    int accepted;

    make_file();
    snprintf(peer, sizeof(peer), "127.0.0.1:%u", port);
    resources[0].name = sluice_text_of(path);
    resources[1].name = sluice_text_of(peer);
    toy_host_init(&host, "resource_user");
    spawn = toy_host_spawn_defaults(&host, "{}");
    spawn.resources = resources;
    spawn.resource_count = 2;
    toy_host_spawn(&host, &spawn);
    accepted = accept(listener, NULL, NULL);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_READY, "%s",
                 event.exit.text);
    cr_assert_eq(write(accepted, "pong", 4), 4);
    toy_records_add(&records, "k", "v", NULL);
    task = toy_task(&records, 1);
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT, "%s", event.exit.text);
    snprintf(wanted, sizeof(wanted), "%s: hello;%s: pong", path, peer);
    expect_text(&event, wanted);
    cr_assert_eq(read(accepted, line, sizeof(line)), 5);
    toy_host_fini(&host);
    close(accepted);
    close(listener);
    unlink(path);
}

Test(resource, without_any_the_list_is_empty)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_records_add(&records, "k", "v", NULL);
    task = toy_task(&records, 1);
    toy_host_start(&host, "resource_user", "{}");
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT);
    expect_text(&event, "no file;no connection");
    toy_host_fini(&host);
}

Test(resource, what_cannot_be_opened_is_named_and_no_worker_starts)
{
    static const struct {
        uint32_t kind;
        const char *name;
        const char *text;
    } cases[] = {
        {SANDBOX_RESOURCE_FILE, "relative", "the path is not absolute"},
        {SANDBOX_RESOURCE_FILE, "/tmp", "it is not a regular file"},
        {SANDBOX_RESOURCE_FILE, "/dev/zero", "it is not a regular file"},
        {SANDBOX_RESOURCE_FILE, "/nowhere/at/all", "No such file or directory"},
        {SANDBOX_RESOURCE_LIBRARY, "/nowhere/lib.so", "No such file or directory"},
        {SANDBOX_RESOURCE_LIBRARY, "/etc/passwd", "ELF"},
        {SANDBOX_RESOURCE_LIBRARY, "relative/lib.so", "the path is not absolute"},
        {SANDBOX_RESOURCE_CONNECTION, "no-port", "it is not host:port"},
        {SANDBOX_RESOURCE_CONNECTION, "127.0.0.1:1", "Connection refused"},
    };
    struct toy_host host;

    toy_host_init(&host, "resource_user");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sandbox_resource resource = {cases[i].kind, sluice_text_of(cases[i].name)};
        struct sandbox_spawn spawn = toy_host_spawn_defaults(&host, "{}");
        char text[SANDBOX_TEXT_SIZE_MAX] = "";

        spawn.resources = &resource;
        spawn.resource_count = 1;
        cr_expect_eq(sandbox_worker_spawn(host.sandbox, &spawn, toy_now_ms(), &host.worker, text,
                                          sizeof(text)),
                     SLUICE_E_IO);
        cr_expect(strstr(text, cases[i].name) != NULL && strstr(text, cases[i].text) != NULL, "%s",
                  text);
    }
    toy_host_fini(&host);
}
