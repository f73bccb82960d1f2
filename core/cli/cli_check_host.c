/* cli_check_host.c: check host: whether this machine is one for a broker of this configuration:
 * what was found, what it means, what to do. Needs no broker; a broker that runs is left alone. */
#include "cli/cli_check.h"
#include "cli/cli_host_text.h"
#include "cli/cli_sandbox.h"
#include "cli/cli_store.h"
#include "cli/cli_watch.h"
#include "cli/cli_workbench.h"
#include "os/os_address.h"
#include "os/os_processors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES   (512u << 10) /* of a file of the kernel's */
#define TEXT_BYTES   400u
#define PATH_BYTES   4352u
#define WIDTH        80u
#define INDENT       24u
#define SYNCS_MAX    64u
#define SYNCS_NS     INT64_C(500000000)
#define SYNC_BYTES   4096u
#define SYNC_SLOW_US 20000
#define SYNC_BAD_US  100000
#define SYNC_FAST_US 10 /* no disk is */
#define GIB          (UINT64_C(1) << 30)
#define MIB          (UINT64_C(1) << 20)

struct host {
    struct cli *cli;
    struct sl_config *config; /* owned */
    char folder[PATH_BYTES];  /* of the data, or the nearest one above that is there; "": no disk */
    char *text;               /* FILE_BYTES, of the last file; owned */
};

struct row {
    enum check_verdict verdict;
    char found[TEXT_BYTES], why[TEXT_BYTES], fix[TEXT_BYTES];
};

static void found(struct row *row, const char *format, ...) SL_PRINTF(2, 3);
static void found(struct row *row, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->found, sizeof(row->found), format, arguments);
    va_end(arguments);
}

/* It is not as it should be. */
static void judge(struct row *row, enum check_verdict verdict, const char *why, const char *fix)
{
    row->verdict = verdict;
    snprintf(row->why, sizeof(row->why), "%s", why);
    snprintf(row->fix, sizeof(row->fix), "%s", fix);
}

/* The text of a file, in host->text; "" and false: it cannot be read. */
static bool look_into(struct host *host, const char *path)
{
    struct sl_file *file = NULL;
    size_t size = 0;
    host->text[0] = '\0';
    if (sl_file_open(host->cli->os, path, SL_FILE_READ, &file) != SLUICE_OK) {
        return false;
    }
    bool read = sl_file_pread(file, host->text, FILE_BYTES - 1, 0, &size) == SLUICE_OK;
    host->text[read ? size : 0] = '\0';
    sl_file_close(file);
    return read;
}

static bool line_of(struct host *host, const char *path, char ret_line[HOST_WORD_BYTES])
{
    bool read = look_into(host, path);
    snprintf(ret_line, HOST_WORD_BYTES, "%.*s", (int)SL_MIN(strcspn(host->text, "\n"), 60u),
             host->text);
    return read;
}

/* ---- limits of the process ---- */

static bool limit_look(struct host *host, struct row *row, const char *name, uint64_t *ret_limit)
{
    if (!look_into(host, "/proc/self/limits") || !host_limit_of(host->text, name, ret_limit)) {
        found(row, "/proc/self/limits does not tell");
        row->verdict = CHECK_UNKNOWN;
        return false;
    }
    if (*ret_limit == UINT64_MAX) {
        found(row, "unlimited");
    } else {
        found(row, "%llu", (unsigned long long)*ret_limit);
    }
    return true;
}

static void look_open_files(struct host *host, struct row *row)
{
    const struct sl_config *config = host->config;
    uint64_t limit,
        wanted = (uint64_t)(config->kafka.connections_max + config->native.connections_max) + 1024;
    char why[TEXT_BYTES];
    if (limit_look(host, row, "Max open files", &limit) && limit < wanted) {
        snprintf(why, sizeof(why),
                 "kafka.connections_max and native.connections_max allow %llu connections, and "
                 "each is one",
                 (unsigned long long)(wanted - 1024));
        judge(row, limit < 1024 ? CHECK_CRITICAL : CHECK_WARNING, why,
              "ulimit -n 1048576, in a unit LimitNOFILE=1048576, or lower connections_max");
    }
}

static void look_processes(struct host *host, struct row *row)
{
    uint64_t limit;
    if (limit_look(host, row, "Max processes", &limit) && limit < 1024) {
        judge(row, limit < 128 ? CHECK_CRITICAL : CHECK_WARNING,
              "each plugin has a process, each loop threads, and all of this user count",
              "ulimit -u 4096, in a unit TasksMax=4096 and LimitNPROC=4096");
    }
}

static void look_locked(struct host *host, struct row *row)
{
    uint64_t limit;
    if (limit_look(host, row, "Max locked memory", &limit)) {
        size_t used = strlen(row->found);
        snprintf(row->found + used, sizeof(row->found) - used, "%s; Sluice locks none",
                 limit == UINT64_MAX ? "" : " bytes");
    }
}

/* ---- the machine ---- */

static void look_kernel(struct host *host, struct row *row)
{
    char line[HOST_WORD_BYTES];
    long major = 0, minor = 0;
    char *end = NULL;
    bool read = line_of(host, "/proc/sys/kernel/osrelease", line);
    major = strtol(line, &end, 10);
    minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    found(row, "Linux %s", read ? line : "that does not say which");
    if (major < 5 || (major == 5 && minor < 13)) {
        judge(row, CHECK_WARNING, "before Linux 5.13 there is no Landlock around plugins",
              "a newer kernel; Debian 12 has 6.1");
    }
}

static void look_processors(struct host *host, struct row *row)
{
    uint32_t count = sl_processor_count();
    (void)host;
    found(row, "%u", count);
    if (count < 2) {
        judge(row, CHECK_WARNING,
              "the loop and the thread that syncs the log take turns, and plugins with both",
              "two processors or more");
    }
}

static void look_clock(struct host *host, struct row *row)
{
    static const char *const fast[] = {"tsc", "kvm-clock", "arch_sys_counter",
                                       "hyperv_clocksource_tsc_page"};
    char line[HOST_WORD_BYTES];
    if (!line_of(host, "/sys/devices/system/clocksource/clocksource0/current_clocksource", line)) {
        found(row, "the kernel does not tell");
        return;
    }
    found(row, "%s", line);
    for (size_t i = 0; i < SL_COUNT_OF(fast); i++) {
        if (strcmp(line, fast[i]) == 0) {
            return;
        }
    }
    judge(row, CHECK_WARNING,
          "to read this clock costs a call into the kernel, a microsecond or more",
          "clocksource=tsc on the kernel's command line, if the machine's is stable");
}

static void look_memory(struct host *host, struct row *row)
{
    char total_text[WATCH_TEXT_BYTES], left_text[WATCH_TEXT_BYTES];
    uint64_t total = 0, left = 0;
    if (!look_into(host, "/proc/meminfo") || !host_memory_of(host->text, "MemTotal:", &total) ||
        !host_memory_of(host->text, "MemAvailable:", &left)) {
        found(row, "/proc/meminfo does not tell");
        row->verdict = CHECK_UNKNOWN;
        return;
    }
    found(row, "%s, %s of it available", watch_bytes_text((double)total, total_text),
          watch_bytes_text((double)left, left_text));
    if (left < 512 * MIB) {
        judge(row, left < 128 * MIB ? CHECK_CRITICAL : CHECK_WARNING,
              "a broker's buffers and a worker of 100 MiB for each plugin have little room",
              "more memory, or fewer plugins with smaller limits (\"sluice sandbox explain\")");
    }
}

static void look_overcommit(struct host *host, struct row *row)
{
    char line[HOST_WORD_BYTES];
    if (!line_of(host, "/proc/sys/vm/overcommit_memory", line)) {
        found(row, "the kernel does not tell");
        return;
    }
    found(row, "vm.overcommit_memory=%s", line);
    if (strcmp(line, "2") == 0) {
        judge(row, CHECK_WARNING,
              "what is only reserved counts as used: allocations fail while memory is free",
              "sysctl vm.overcommit_memory=0");
    }
}

static void look_huge_pages(struct host *host, struct row *row)
{
    char word[HOST_WORD_BYTES];
    if (!look_into(host, "/sys/kernel/mm/transparent_hugepage/enabled") ||
        !host_choice_of(host->text, word)) {
        found(row, "this kernel has none");
        return;
    }
    found(row, "transparent ones: %s", word);
    if (strcmp(word, "always") == 0) {
        judge(row, CHECK_WARNING,
              "the kernel joins pages while a loop waits for them: pauses of milliseconds, and "
              "more memory",
              "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    }
}

/* ---- the disk ---- */

/* Memory only: nothing to look at. */
static bool has_folder(const struct host *host, struct row *row)
{
    if (host->folder[0] == '\0') {
        found(row, "none is used: data.dir is \"none\"");
    }
    return host->folder[0] != '\0';
}

/* "rw, noatime": where a line may end. */
static void options_space(const char *options, char *ret_text, size_t size)
{
    size_t used = 0;
    for (const char *at = options; *at != '\0' && used + 3 < size; at++) {
        ret_text[used++] = *at;
        if (*at == ',') {
            ret_text[used++] = ' ';
        }
    }
    ret_text[used] = '\0';
}

static void look_file_system(struct host *host, struct row *row)
{
    static const struct {
        const char *type;
        enum check_verdict verdict;
        const char *why, *fix;
    } types[] = {
        {"tmpfs", CHECK_CRITICAL, "it is memory: what was synced is gone with the power",
         "data.dir on a disk, or data.dir=none to say so"},
        {"ramfs", CHECK_CRITICAL, "it is memory: what was synced is gone with the power",
         "data.dir on a disk, or data.dir=none to say so"},
        {"overlay", CHECK_WARNING, "a container's own layer: slow, and gone with the container",
         "a volume for data.dir"},
        {"nfs", CHECK_WARNING,
         "a sync is a round trip, and what a lost server does is its own affair", "a local disk"},
        {"nfs4", CHECK_WARNING,
         "a sync is a round trip, and what a lost server does is its own affair", "a local disk"},
        {"cifs", CHECK_WARNING, "a sync is a round trip, and locks are not those of Linux",
         "a local disk"},
        {"9p", CHECK_WARNING, "what a sync is worth is the host's affair",
         "a disk of the machine's own"},
        {"virtiofs", CHECK_WARNING, "what a sync is worth is the host's affair",
         "a disk of the machine's own"},
    };
    struct host_mount mount;
    char options[TEXT_BYTES];
    if (!has_folder(host, row)) {
        return;
    }
    if (!look_into(host, "/proc/self/mountinfo") ||
        !host_mount_of(host->text, host->folder, &mount)) {
        found(row, "/proc/self/mountinfo does not tell what %.300s is on", host->folder);
        row->verdict = CHECK_UNKNOWN;
        return;
    }
    options_space(mount.options, options, sizeof(options));
    found(row, "%.40s at %.100s, %.200s", mount.type, mount.point, options);
    for (size_t i = 0; i < SL_COUNT_OF(types); i++) {
        if (strcmp(types[i].type, mount.type) == 0) {
            judge(row, types[i].verdict, types[i].why, types[i].fix);
        }
    }
    if (strncmp(mount.type, "fuse", 4) == 0) {
        judge(row, CHECK_WARNING, "what a sync is worth is the affair of a program",
              "a local disk");
    }
    if (host_option_has(mount.options, "ro")) {
        judge(row, CHECK_CRITICAL, "nothing can be written", "mount it with rw");
    }
    if (host_option_has(mount.options, "nobarrier") ||
        host_option_has(mount.options, "barrier=0")) {
        judge(row, CHECK_CRITICAL,
              "without barriers a sync does not reach the disk: what was acknowledged can be lost",
              "mount it without nobarrier");
    }
}

static void look_space(struct host *host, struct row *row)
{
    char total_text[WATCH_TEXT_BYTES], left_text[WATCH_TEXT_BYTES];
    uint64_t total = 0, left = 0;
    if (!has_folder(host, row)) {
        return;
    }
    if (sl_disk_space(host->cli->os, host->folder, &total, &left) != SLUICE_OK || total == 0) {
        found(row, "the system does not tell");
        row->verdict = CHECK_UNKNOWN;
        return;
    }
    found(row, "%s of %s free (%.0f %%)", watch_bytes_text((double)left, left_text),
          watch_bytes_text((double)total, total_text), (double)left * 100 / (double)total);
    if (left < total / 10 || left < 2 * GIB) {
        judge(row, left < total / 20 || left < GIB / 2 ? CHECK_CRITICAL : CHECK_WARNING,
              "producers are slowed at 90 % and refused at 95 %, and the log takes wal.bytes_max",
              "more room, or a shorter retention (\"sluice topic alter\")");
    }
}

/* Writes and syncs 4 KiB until there are enough; their times in us, sorted. */
static uint32_t syncs_time(struct host *host, const char *path, int64_t ret_us[SYNCS_MAX])
{
    static uint8_t block[SYNC_BYTES];
    const struct sl_iovec piece = {block, sizeof(block)};
    struct sl_os *os = host->cli->os;
    struct sl_file *file = NULL;
    uint32_t count = 0;
    int64_t begun_ns = sl_os_mono_ns(os), now_ns = begun_ns;
    sl_err err = sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &file);
    bool made = err == SLUICE_OK;
    err = made ? sl_file_fill_zero(file, (uint64_t)SYNCS_MAX * SYNC_BYTES) : err;
    err = err == SLUICE_OK ? sl_file_sync(file) : err;
    while (err == SLUICE_OK && count < SYNCS_MAX && now_ns - begun_ns < SYNCS_NS) {
        int64_t from_ns = sl_os_mono_ns(os);
        memset(block, (int)count + 1, sizeof(block));
        err = sl_file_pwritev(file, &piece, 1, (uint64_t)count * SYNC_BYTES);
        err = err == SLUICE_OK ? sl_file_sync(file) : err;
        now_ns = sl_os_mono_ns(os);
        ret_us[count] = (now_ns - from_ns) / 1000;
        count += err == SLUICE_OK;
    }
    sl_file_close(file);
    if (made) {
        (void)!sl_path_remove(os, path);
    }
    return err == SLUICE_OK ? count : 0;
}

static int time_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void look_sync(struct host *host, struct row *row)
{
    int64_t times_us[SYNCS_MAX];
    char path[PATH_BYTES];
    uint64_t mark;
    if (!has_folder(host, row)) {
        return;
    }
    sl_os_random(host->cli->os, &mark, sizeof(mark));
    snprintf(path, sizeof(path), "%.4000s/sluice-check-%08x", host->folder, (uint32_t)mark);
    uint32_t count = syncs_time(host, path, times_us);
    if (count == 0) {
        found(row, "nothing can be written into %.300s", host->folder);
        judge(row, CHECK_UNKNOWN, "this user may not, or the disk is full",
              "run it as the user that the broker runs as");
        return;
    }
    qsort(times_us, count, sizeof(times_us[0]), time_compare);
    int64_t half_us = times_us[count / 2], slowest_us = times_us[count - 1];
    found(row, "4 KiB in %.2f ms (median of %u), slowest %.2f ms", (double)half_us / 1000, count,
          (double)slowest_us / 1000);
    if (half_us >= SYNC_SLOW_US) {
        judge(row, half_us >= SYNC_BAD_US ? CHECK_CRITICAL : CHECK_WARNING,
              "each acknowledgement of class fsync waits for one",
              "a faster disk, or \"sluice topic create … -c sluice.durability=os\" where that will "
              "do");
    } else if (half_us < SYNC_FAST_US) {
        judge(row, CHECK_WARNING,
              "no disk is that fast: something says \"synced\" and keeps it in memory",
              "look what is below this file system before you trust it");
    }
}

/* ---- what stands around plugins ---- */

static void look_sandbox(struct host *host, struct row *row)
{
    static const char *const needed[] = {"landlock", "namespaces", "naming", "cgroup memory"};
    struct sandbox_layer layers[SANDBOX_LAYERS_MAX];
    uint32_t count = 0;
    char text[SANDBOX_TEXT_SIZE_MAX], missing[TEXT_BYTES] = "";
    if (!cli_sandbox_is_here(host->cli)) {
        found(row, "not tried");
        judge(row, CHECK_UNKNOWN, "the plugins that try it are not installed",
              "the package sluice-plugins, or all components of \"cmake --install\"");
        return;
    }
    if (!cli_sandbox_layers(host->cli, layers, &count, text)) {
        found(row, "no worker can be started: %.300s", text);
        judge(row, CHECK_CRITICAL, "no plugin can run here but frontends",
              "a kernel with seccomp and memfd; \"sluice sandbox explain\" says more");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (size_t j = 0; j < SL_COUNT_OF(needed); j++) {
            if (strcmp(layers[i].name, needed[j]) == 0 &&
                layers[i].state == SANDBOX_LAYER_UNAVAILABLE) {
                size_t used = strlen(missing);
                snprintf(missing + used, sizeof(missing) - used, "%s%s", used > 0 ? ", " : "",
                         needed[j]);
            }
        }
    }
    found(row, "a worker starts (seccomp, memfd); %s%s",
          missing[0] == '\0' ? "Landlock, namespaces, cgroup memory too" : "not here: ", missing);
    if (missing[0] != '\0') {
        judge(row, CHECK_WARNING, "the other layers hold, and say what is missing with each plugin",
              "\"sluice sandbox explain\" names the reason for each; cgroups: Delegate=yes in the "
              "unit");
    }
}

/* ---- ports ---- */

static void look_port(struct host *host, struct row *row, const char *address)
{
    sl_err err = sl_address_try(address);
    struct cli_link link;
    found(row, "%.200s is free", address);
    if (err == SLUICE_OK || address[0] == '\0') {
        return;
    }
    if (err == SLUICE_E_ADDRESS_IN_USE) {
        char socket[600];
        snprintf(socket, sizeof(socket), "unix:%.500s", host->config->admin.socket);
        bool ours = sl_connect(host->cli->os, socket, &link.descriptor) == SLUICE_OK;
        found(row, "%.200s is in use%s", address, ours ? ", by the broker that runs" : "");
        if (ours) {
            sl_descriptor_close(link.descriptor);
        } else {
            judge(row, CHECK_CRITICAL,
                  "another program listens there, and the broker will not start",
                  "end that program (\"ss -ltnp\" names it), or another …listen");
        }
        return;
    }
    found(row, "%.200s cannot be listened on", address);
    judge(row, CHECK_CRITICAL,
          "there is no such address here, or a port below 1024 and no right to it",
          "another …listen, or CAP_NET_BIND_SERVICE");
}

static void look_kafka(struct host *host, struct row *row)
{
    look_port(host, row, host->config->kafka.listen);
}

static void look_native(struct host *host, struct row *row)
{
    look_port(host, row, host->config->native.listen);
}

static void look_http(struct host *host, struct row *row)
{
    look_port(host, row, host->config->http.listen);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*look)(struct host *host, struct row *row);
} looks[] = {{"kernel", look_kernel},         {"processors", look_processors},
             {"clock", look_clock},           {"memory", look_memory},
             {"overcommit", look_overcommit}, {"huge pages", look_huge_pages},
             {"open files", look_open_files}, {"processes", look_processes},
             {"locked memory", look_locked},  {"file system", look_file_system},
             {"disk space", look_space},      {"sync", look_sync},
             {"sandbox", look_sandbox},       {"kafka port", look_kafka},
             {"native port", look_native},    {"http port", look_http}};

static const char *colour_of(const struct cli *cli, enum check_verdict verdict)
{
    return verdict == CHECK_FINE      ? cli_green(cli)
           : verdict == CHECK_WARNING ? cli_yellow(cli)
                                      : cli_red(cli);
}

static void row_write(const struct cli *cli, const char *name, const struct row *row)
{
    static const char *const words[] = {"ok", "warn", "bad", "?"};
    printf("  %s%-4s%s  %-14s  ", colour_of(cli, row->verdict), words[row->verdict], cli_plain(cli),
           name);
    cli_wrapped_write(row->found, INDENT, WIDTH - INDENT);
    if (row->why[0] != '\0') {
        printf("%*s", (int)INDENT, "");
        cli_wrapped_write(row->why, INDENT, WIDTH - INDENT);
        printf("%*s-> ", (int)INDENT, "");
        cli_wrapped_write(row->fix, INDENT + 3, WIDTH - INDENT - 3);
    }
}

static cJSON *row_json(const char *name, const struct row *row)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, "status", check_verdict_name(row->verdict));
    cJSON_AddStringToObject(object, "found", row->found);
    if (row->why[0] != '\0') {
        cJSON_AddStringToObject(object, "why", row->why);
        cJSON_AddStringToObject(object, "fix", row->fix);
    }
    return object;
}

static int all_look(struct host *host)
{
    static struct row rows[SL_COUNT_OF(looks)];
    char names[TEXT_BYTES] = "";
    enum check_verdict worst = CHECK_FINE;
    uint32_t count = 0;
    for (size_t i = 0; i < SL_COUNT_OF(looks); i++) {
        enum check_verdict verdict;
        looks[i].look(host, &rows[i]);
        verdict = rows[i].verdict;
        if (verdict != CHECK_FINE) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : ": ",
                     looks[i].name);
            count++;
        }
        /* what is not known is worse than a warning, and better than what is known to be bad */
        bool is_worse = verdict == CHECK_CRITICAL || worst == CHECK_FINE ||
                        (worst == CHECK_WARNING && verdict == CHECK_UNKNOWN);
        worst = verdict != CHECK_FINE && is_worse ? verdict : worst;
    }
    if (host->cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "check", "HOST");
        cJSON_AddStringToObject(object, "status", check_verdict_name(worst));
        cJSON *array = cJSON_AddArrayToObject(object, "rows");
        for (size_t i = 0; i < SL_COUNT_OF(looks); i++) {
            cJSON_AddItemToArray(array, row_json(looks[i].name, &rows[i]));
        }
        cli_json_write(object);
        cJSON_Delete(object);
        return (int)worst;
    }
    int code = count == 0 ? check_say(host->cli, "HOST", worst, "nothing is wrong in %zu things",
                                      SL_COUNT_OF(looks))
                          : check_say(host->cli, "HOST", worst, "%u of %zu%s", count,
                                      SL_COUNT_OF(looks), names);
    for (size_t i = 0; i < SL_COUNT_OF(looks); i++) {
        row_write(host->cli, looks[i].name, &rows[i]);
    }
    return code;
}

/* data.dir or what is there above it, without links. */
static void folder_find(struct host *host)
{
    char path[PATH_BYTES];
    if (!config_has_disk(host->config)) {
        return;
    }
    snprintf(path, sizeof(path), "%.4000s", host->config->data.dir);
    while (!cli_is_folder(host->cli, path) && strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
        cli_path_folder(path, path);
    }
    char *whole = realpath(path, NULL);
    snprintf(host->folder, sizeof(host->folder), "%.4000s", whole != NULL ? whole : path);
    free(whole);
}

int cli_check_host(struct cli *cli)
{
    struct host host = {.cli = cli};
    int code;
    if (cli_config_load(cli, &host.config) != CLI_OK) {
        return CHECK_UNKNOWN;
    }
    host.text = calloc(1, FILE_BYTES);
    if (host.text == NULL) {
        config_free(host.config);
        return check_say(cli, "HOST", CHECK_UNKNOWN, "out of memory");
    }
    folder_find(&host);
    code = all_look(&host);
    free(host.text);
    config_free(host.config);
    return code;
}
