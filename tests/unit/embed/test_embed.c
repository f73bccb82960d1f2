/* test_embed.c: libsluice-broker as a program uses it: through <sluice/embed.h> alone. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sluice/embed.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One broker with a thread and a folder of its own; topics of the commands are made by itself. */
struct host {
    struct sluice_embed *embed;
    pthread_t thread;
    sem_t ready;
    sluice_status ended;
    char folder[64];
    char settings[5][128];
    char problem[SLUICE_EMBED_PROBLEM_BYTES];
};

static void on_ready(void *arg)
{
    sem_post(&((struct host *)arg)->ready);
}

static void no_log(void *arg, const char *line, uint64_t size)
{
    (void)arg;
    (void)line;
    (void)size;
}

static sluice_status host_create(struct host *host)
{
    static const char *const names[] = {"data.dir", "plugins.dir", "admin.socket"};
    const char *settings[5];
    for (size_t i = 0; i < 3; i++) {
        snprintf(host->settings[i], sizeof(host->settings[i]), "%s=%s/%s", names[i], host->folder,
                 i < 2 ? names[i] : "socket");
        settings[i] = host->settings[i];
    }
    settings[3] = "kafka.listen=127.0.0.1:0";
    settings[4] = "http.listen=127.0.0.1:0";
    const struct sluice_embed_config config = {.size = sizeof(config),
                                               .setting_count = 5,
                                               .settings = settings,
                                               .prefix = SLUICE_BINARY_DIR,
                                               .log = no_log,
                                               .ready = on_ready,
                                               .arg = host};
    return sluice_embed_create(&config, &host->embed, host->problem);
}

static void *run(void *arg)
{
    struct host *host = arg;
    host->ended = sluice_embed_run(host->embed);
    return NULL;
}

static void host_make(struct host *host)
{
    *host = (struct host){.ended = -1};
    snprintf(host->folder, sizeof(host->folder), "/tmp/sluice-embed-XXXXXX");
    cr_assert_not_null(mkdtemp(host->folder));
    cr_assert_eq(sem_init(&host->ready, 0, 0), 0);
    cr_assert_eq(host_create(host), SLUICE_OK, "%s", host->problem);
}

static void host_start(struct host *host)
{
    cr_assert_eq(pthread_create(&host->thread, NULL, run, host), 0);
    sem_wait(&host->ready);
}

static void host_stop(struct host *host)
{
    cr_assert_eq(sluice_embed_stop(host->embed), SLUICE_OK);
    pthread_join(host->thread, NULL);
    cr_assert_eq(host->ended, SLUICE_OK);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void host_free(struct host *host)
{
    sluice_embed_destroy(host->embed);
    cr_assert_eq(nftw(host->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* One request over the host's admin socket; the answer without its newline. */
static void admin_ask(struct host *host, const char *request, char *answer, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t got = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", host->folder);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while (got == 0 || answer[got - 1] != '\n') {
        ssize_t count = read(fd, answer + got, size - 1 - got);
        cr_assert_gt(count, 0);
        got += (size_t)count;
    }
    answer[got - 1] = '\0';
    close(fd);
    cr_assert_not_null(strstr(answer, "\"ok\":true"), "%s", answer);
}

static void topic_make(struct host *host, const char *topic)
{
    char request[256];
    char answer[1024];
    snprintf(request, sizeof(request),
             "{\"id\":1,\"command\":\"topic.create\",\"args\":{\"topic\":\"%s\"}}\n", topic);
    admin_ask(host, request, answer, sizeof(answer));
}

static void topic_read(struct host *host, const char *topic, char *answer, size_t size)
{
    char request[256];
    snprintf(request, sizeof(request),
             "{\"id\":1,\"command\":\"consume\",\"args\":{\"topic\":\"%s\"}}\n", topic);
    admin_ask(host, request, answer, size);
}

/* ---- publishing ---- */

struct publishing {
    struct host *host;
    sem_t done;
    atomic_int released;
    int released_before_done;
    sluice_status status;
    int64_t offset;
};

static void on_release(void *arg)
{
    ((struct publishing *)arg)->released++;
}

static void on_done(void *arg, sluice_status status, int64_t offset)
{
    struct publishing *publishing = arg;
    publishing->released_before_done = publishing->released;
    publishing->status = status;
    publishing->offset = offset;
    sem_post(&publishing->done);
}

static sluice_status publish(struct publishing *publishing, const char *topic, const void *data,
                             uint64_t size)
{
    const struct sluice_publication publication = {
        .size = sizeof(publication),
        .topic = topic,
        .payload = {.data = data, .size = size, .release = on_release, .release_arg = publishing},
        .done = on_done,
        .arg = publishing};
    return sluice_embed_publish(publishing->host->embed, &publication);
}

static void publishing_init(struct publishing *publishing, struct host *host)
{
    memset(publishing, 0, sizeof(*publishing));
    publishing->host = host;
    cr_assert_eq(sem_init(&publishing->done, 0, 0), 0);
}

static void count_bytes(void *arg, const char *text, uint64_t size)
{
    *(bool *)arg = memmem(text, size, "sluice_records_in_total", 23) != NULL;
}

Test(embed, calls_before_run_say_that_it_is_not_running, .timeout = 120)
{
    struct host host;
    struct publishing publishing;
    bool has_metrics = false;
    host_make(&host);
    publishing_init(&publishing, &host);
    cr_assert_eq(publish(&publishing, "orders", "x", 1), SLUICE_E_NOT_RUNNING);
    cr_assert_eq(publishing.released, 1);
    cr_assert_eq(sluice_embed_metrics(host.embed, count_bytes, &has_metrics), SLUICE_E_NOT_RUNNING);
    cr_assert_eq(sluice_embed_stop(host.embed), SLUICE_E_NOT_RUNNING);
    host_free(&host);
}

Test(embed, runs_once_stops_and_says_so_afterwards, .timeout = 120)
{
    struct host host;
    struct publishing publishing;
    bool has_metrics = false;
    host_make(&host);
    host_start(&host);
    publishing_init(&publishing, &host);
    cr_assert_eq(sluice_embed_metrics(host.embed, count_bytes, &has_metrics),
                 SLUICE_HAS_TELEMETRY ? SLUICE_OK : SLUICE_E_UNSUPPORTED);
    cr_assert_eq(has_metrics, SLUICE_HAS_TELEMETRY);
    host_stop(&host);
    cr_assert_eq(sluice_embed_run(host.embed), SLUICE_E_INVALID);
    cr_assert_eq(sluice_embed_stop(host.embed), SLUICE_E_NOT_RUNNING);
    cr_assert_eq(publish(&publishing, "orders", "x", 1), SLUICE_E_NOT_RUNNING);
    cr_assert_eq(publishing.released, 1);
    host_free(&host);
}

Test(embed, publishes_by_reference_and_releases_once_before_it_is_done, .timeout = 120)
{
    struct host host;
    struct publishing publishing;
    host_make(&host);
    host_start(&host);
    topic_make(&host, "orders");
    publishing_init(&publishing, &host);
    for (int64_t i = 0; i < 3; i++) {
        cr_assert_eq(publish(&publishing, "orders", "payload", 7), SLUICE_OK);
        sem_wait(&publishing.done);
        cr_assert_eq(publishing.status, SLUICE_OK);
        cr_assert_eq(publishing.offset, i);
        cr_assert_eq(publishing.released, i + 1);
        cr_assert_eq(publishing.released_before_done, i + 1);
    }
    cr_assert_eq(publish(&publishing, "nowhere", "payload", 7), SLUICE_OK);
    sem_wait(&publishing.done);
    cr_assert_eq(publishing.status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_eq(publishing.released, 4);
    cr_assert_eq(publish(&publishing, NULL, "payload", 7), SLUICE_E_INVALID);
    cr_assert_eq(publishing.released, 5);
    host_stop(&host);
    host_free(&host);
}

Test(embed, publishes_a_part_of_a_file, .timeout = 120)
{
    struct host host;
    struct publishing publishing;
    struct sluice_payload payload;
    char path[96], answer[4096];
    host_make(&host);
    host_start(&host);
    topic_make(&host, "files");
    publishing_init(&publishing, &host);
    snprintf(path, sizeof(path), "%s/file", host.folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs("before the part after", file);
    fclose(file);
    cr_assert_eq(sluice_embed_map(path, 7, 1000, &payload), SLUICE_E_INVALID);
    cr_assert_eq(sluice_embed_map("/nowhere", 0, 1, &payload), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sluice_embed_map(path, 7, 8, &payload), SLUICE_OK);
    const struct sluice_publication publication = {.size = sizeof(publication),
                                                   .topic = "files",
                                                   .payload = payload,
                                                   .done = on_done,
                                                   .arg = &publishing};
    cr_assert_eq(sluice_embed_publish(host.embed, &publication), SLUICE_OK);
    sem_wait(&publishing.done);
    cr_assert_eq(publishing.status, SLUICE_OK);
    topic_read(&host, "files", answer, sizeof(answer));
    cr_assert_not_null(strstr(answer, "\"the part\""), "%s", answer);
    host_stop(&host);
    host_free(&host);
}

static void count_reference(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

Test(embed, static_and_shared_bytes_are_published_where_they_lie, .timeout = 120)
{
    static const char text[] = "static";
    struct host host;
    struct publishing publishing;
    atomic_int given_back = 0;
    char answer[4096];
    const struct sluice_payload payloads[] = {
        {.data = text, .size = 6}, /* nobody asks for it back */
        {.data = text, .size = 6, .release = count_reference, .release_arg = &given_back},
        {.data = text, .size = 6, .release = count_reference, .release_arg = &given_back},
        {.data = NULL},
    };
    host_make(&host);
    host_start(&host);
    topic_make(&host, "orders");
    publishing_init(&publishing, &host);
    for (int64_t i = 0; i < 4; i++) {
        const struct sluice_publication publication = {.size = sizeof(publication),
                                                       .topic = "orders",
                                                       .payload = payloads[i],
                                                       .done = on_done,
                                                       .arg = &publishing};
        cr_assert_eq(sluice_embed_publish(host.embed, &publication), SLUICE_OK);
        sem_wait(&publishing.done);
        cr_assert_eq(publishing.offset, i);
    }
    cr_assert_eq(given_back, 2);
    topic_read(&host, "orders", answer, sizeof(answer));
    cr_assert_not_null(strstr(answer, "\"static\""), "%s", answer);
    cr_assert_not_null(strstr(answer, "\"value\":null"), "%s", answer);
    host_stop(&host);
    host_free(&host);
}

Test(embed, one_that_never_ran_is_closed_in_order_and_opens_again, .timeout = 120)
{
    struct host host;
    host_make(&host);
    sluice_embed_destroy(host.embed);
    cr_assert_eq(host_create(&host), SLUICE_OK, "%s", host.problem);
    host_start(&host);
    host_stop(&host);
    host_free(&host);
}

Test(embed, a_stop_before_it_is_ready_ends_it, .timeout = 120)
{
    struct host host;
    host_make(&host);
    cr_assert_eq(pthread_create(&host.thread, NULL, run, &host), 0);
    while (sluice_embed_stop(host.embed) != SLUICE_OK) {
        /* it has not entered run */
    }
    pthread_join(host.thread, NULL);
    cr_assert_eq(host.ended, SLUICE_OK);
    host_free(&host);
}

Test(embed, two_in_one_process_do_not_know_of_each_other, .timeout = 120)
{
    struct host hosts[2];
    struct publishing publishing;
    for (size_t i = 0; i < 2; i++) {
        host_make(&hosts[i]);
        host_start(&hosts[i]);
    }
    topic_make(&hosts[1], "orders");
    publishing_init(&publishing, &hosts[0]);
    cr_assert_eq(publish(&publishing, "orders", "x", 1), SLUICE_OK);
    sem_wait(&publishing.done);
    cr_assert_eq(publishing.status, SLUICE_E_UNKNOWN_TOPIC);
    publishing_init(&publishing, &hosts[1]);
    cr_assert_eq(publish(&publishing, "orders", "x", 1), SLUICE_OK);
    sem_wait(&publishing.done);
    cr_assert_eq(publishing.status, SLUICE_OK);
    host_stop(&hosts[0]);
    host_stop(&hosts[1]);
    host_free(&hosts[0]);
    host_free(&hosts[1]);
}

Test(embed, a_stop_under_load_releases_and_ends_everything, .timeout = 120)
{
    enum { COUNT = 500 };
    struct host host;
    struct publishing *each = calloc(COUNT, sizeof(*each));
    int accepted = 0;
    cr_assert_not_null(each);
    host_make(&host);
    host_start(&host);
    topic_make(&host, "orders");
    for (int i = 0; i < COUNT; i++) {
        publishing_init(&each[i], &host);
        accepted += publish(&each[i], "orders", "payload", 7) == SLUICE_OK;
        if (i == COUNT / 2) {
            cr_assert_eq(sluice_embed_stop(host.embed), SLUICE_OK);
        }
    }
    pthread_join(host.thread, NULL);
    cr_assert_eq(host.ended, SLUICE_OK);
    cr_assert_gt(accepted, COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(each[i].released, 1, "publication %d", i);
        if (i < COUNT / 2) {
            cr_assert_eq(sem_trywait(&each[i].done), 0, "publication %d", i);
        }
    }
    free(each);
    host_free(&host);
}

Test(embed, a_wrong_configuration_is_one_sentence)
{
    static const char *const settings[] = {"kafka.nonsense=1"};
    char problem[SLUICE_EMBED_PROBLEM_BYTES];
    struct sluice_embed *embed = NULL;
    const struct sluice_embed_config config = {
        .size = sizeof(config), .setting_count = 1, .settings = settings};
    cr_assert_eq(sluice_embed_create(&config, &embed, problem), SLUICE_E_CONFIG_UNKNOWN_KEY);
    cr_assert_not_null(strstr(problem, "nonsense"));
    cr_assert_null(embed);
}
