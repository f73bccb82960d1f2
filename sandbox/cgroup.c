/* cgroup.c: see cgroup.h.
 *
 * Files: /proc/self/cgroup (N:controllers:path), /proc/self/mountinfo (mount point and type), then
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1. The root of a hierarchy is never used: it
 * belongs to the system's manager. Version 2 wants processes in leaves only, so the broker moves
 * into a leaf of its own first; with systemd: Delegate=yes, or DelegateSubgroup= from 254 on. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLACK_BYTES   (48ull << 20) /* of a worker beside its limit: libraries, tables, stack */
#define CPU_PERIOD_US 1000000u
#define CPU_BACKSTOP  5u /* times the share: pacing comes first */
#define LEAF          "sluice-broker"

static const char *const controllers[CGROUP_KINDS] = {"memory", "cpu", "pids"};

/* ---- small files ---- */

static bool put(const char *folder, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool put(const char *folder, const char *name, const char *format, ...)
{
    char path[CGROUP_PATH + 64];
    char text[64];
    va_list arguments;
    int size;
    int file;
    bool done;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    done = write(file, text, (size_t)size) == size;
    close(file);
    return done;
}

/* The file's beginning as text; "" when it cannot be read. */
static void get(const char *folder, const char *name, char *ret_text, size_t text_size)
{
    char path[CGROUP_PATH + 64];
    ssize_t size = 0;
    int file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        size = read(file, ret_text, text_size - 1);
        close(file);
    }
    ret_text[size > 0 ? size : 0] = '\0';
}

static bool there(const char *folder, const char *name)
{
    char path[CGROUP_PATH + 64];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static bool has_word(const char *text, const char *word, const char *separators)
{
    const size_t size = strlen(word);

    while (*text != '\0') {
        const size_t length = strcspn(text, separators);

        if (length == size && memcmp(text, word, size) == 0) {
            return true;
        }
        text += length;
        text += strspn(text, separators);
    }
    return false;
}

/* ---- where this process is ---- */

static FILE *open_text(const char *proc, const char *name)
{
    char path[CGROUP_PATH];

    snprintf(path, sizeof(path), "%s/%s", proc, name);
    return fopen(path, "re");
}

/* The path of this process in the hierarchy of a controller ("": version 2). */
static bool own_path(const char *proc, const char *controller, char ret_path[CGROUP_PATH])
{
    FILE *file = open_text(proc, "cgroup");
    char line[CGROUP_PATH + 128];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char *names = strchr(line, ':');
        char *path = names != NULL ? strchr(names + 1, ':') : NULL;

        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        found = controller[0] == '\0' ? names[1] == '\0' : has_word(names + 1, controller, ",");
        if (found) {
            snprintf(ret_path, CGROUP_PATH, "%s", path);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

struct mount {
    char root[CGROUP_PATH]; /* of the hierarchy, that the mount shows */
    char point[CGROUP_PATH];
};

/* mountinfo: id parent major:minor root point options … - type source super-options */
static bool find_mount(const char *proc, const char *controller, struct mount *ret_mount)
{
    FILE *file = open_text(proc, "mountinfo");
    char line[4096];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char type[32];
        char options[512];
        const char *tail = strstr(line, " - ");

        if (tail == NULL || sscanf(tail, " - %31s %*s %511s", type, options) != 2 ||
            sscanf(line, "%*s %*s %*s %511s %511s", ret_mount->root, ret_mount->point) != 2) {
            continue;
        }
        found = controller[0] == '\0'
                    ? strcmp(type, "cgroup2") == 0
                    : strcmp(type, "cgroup") == 0 && has_word(options, controller, ",\n");
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* The folder of the group that this process is in. */
static bool own_folder(const char *proc, const char *controller, char ret_folder[CGROUP_PATH])
{
    char path[CGROUP_PATH];
    struct mount mount;
    size_t root;
    int size;

    if (!own_path(proc, controller, path) || !find_mount(proc, controller, &mount)) {
        return false;
    }
    root = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
    if (strncmp(path, mount.root, root) != 0) {
        root = 0;
    }
    size = snprintf(ret_folder, CGROUP_PATH, "%s%s", mount.point, path + root);
    return size > 0 && (size_t)size < CGROUP_PATH - 64;
}

/* ---- the room ---- */

static bool is_pid_dead(long pid)
{
    return pid > 1 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void sweep(const char *folder)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        long broker;
        long worker;

        if (sscanf(entry->d_name, "sluice-%ld-%ld", &broker, &worker) == 2 && is_pid_dead(broker) &&
            is_pid_dead(worker)) {
            (void)unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

static void take(struct cgroup_room *room, uint32_t kind, uint32_t version, const char *folder)
{
    room->versions[kind] = version;
    snprintf(room->paths[kind], CGROUP_PATH, "%s", folder);
}

static bool is_unit(const char *folder)
{
    const char *dot = strrchr(folder, '.');

    return dot != NULL && (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0);
}

/* The only process of its group moves into a leaf, so that the group may give controllers on. */
static bool move_to_leaf(const char *folder)
{
    char leaf[CGROUP_PATH + 32];
    char processes[64];
    char *end;

    get(folder, "cgroup.procs", processes, sizeof(processes));
    if (strtol(processes, &end, 10) != (long)getpid() || strcmp(end, "\n") != 0) {
        return false;
    }
    snprintf(leaf, sizeof(leaf), "%s/" LEAF, folder);
    return (mkdir(leaf, 0755) == 0 || errno == EEXIST) &&
           put(leaf, "cgroup.procs", "%ld", (long)getpid());
}

/* systemd's DelegateSubgroup: the unit above is ours and has no process. A restart of the broker
 * inside its own leaf looks the same. */
static bool room_above(char folder[CGROUP_PATH])
{
    char *slash = strrchr(folder, '/');

    if (slash == NULL || is_unit(folder)) {
        return false;
    }
    const bool is_leaf = strcmp(slash + 1, LEAF) == 0;
    *slash = '\0';
    if ((is_leaf || is_unit(folder)) && there(folder, "cgroup.type") && access(folder, W_OK) == 0) {
        return true;
    }
    *slash = '/';
    return false;
}

static void open_v2(struct cgroup_room *room, const char *proc)
{
    char folder[CGROUP_PATH];
    char given[256];

    if (!own_folder(proc, "", folder) || !there(folder, "cgroup.type") ||
        access(folder, W_OK) != 0) {
        return;
    }
    get(folder, "cgroup.controllers", given, sizeof(given));
    if (!room_above(folder) &&
        (strpbrk(given, "abcdefghijklmnopqrstuvwxyz") == NULL || !move_to_leaf(folder))) {
        return;
    }
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        (void)put(folder, "cgroup.subtree_control", "+%s", controllers[i]);
    }
    get(folder, "cgroup.subtree_control", given, sizeof(given));
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        if (has_word(given, controllers[i], " \n")) {
            take(room, i, SANDBOX_CGROUP_V2, folder);
        }
    }
    sweep(folder);
}

static void open_v1(struct cgroup_room *room, const char *proc, uint32_t kind)
{
    char folder[CGROUP_PATH];

    /* release_agent is a file of the root alone. */
    if (own_folder(proc, controllers[kind], folder) && !there(folder, "release_agent") &&
        access(folder, W_OK) == 0) {
        take(room, kind, SANDBOX_CGROUP_V1, folder);
        sweep(folder);
    }
}

void cgroup_room_open(struct cgroup_room *room, const char *proc)
{
    memset(room, 0, sizeof(*room));
    if (proc == NULL) {
        return;
    }
    open_v2(room, proc);
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        if (room->versions[i] == SANDBOX_CGROUP_NONE) {
            open_v1(room, proc, i);
        }
    }
}

/* ---- one worker ---- */

static bool limit_memory(const char *folder, uint32_t version, uint64_t bytes)
{
    const unsigned long long value = bytes;

    if (version == SANDBOX_CGROUP_V1) {
        return put(folder, "memory.limit_in_bytes", "%llu", value);
    }
    (void)put(folder, "memory.swap.max", "0");
    return put(folder, "memory.max", "%llu", value);
}

static bool limit_cpu(const char *folder, uint32_t version, uint32_t percent)
{
    const uint32_t share = percent > 100u / CPU_BACKSTOP ? 100u : percent * CPU_BACKSTOP;
    const uint32_t quota_us = CPU_PERIOD_US / 100u * share;

    if (percent == 0 || share == 100u) {
        return false; /* it has one thread: nothing to bound */
    }
    if (version == SANDBOX_CGROUP_V1) {
        return put(folder, "cpu.cfs_period_us", "%u", CPU_PERIOD_US) &&
               put(folder, "cpu.cfs_quota_us", "%u", quota_us);
    }
    return put(folder, "cpu.max", "%u %u", quota_us, CPU_PERIOD_US);
}

static bool limit_kind(const char *folder, uint32_t kind, uint32_t version,
                       const struct sandbox_limits *limits, uint64_t shared_bytes)
{
    switch (kind) {
    case CGROUP_MEMORY:
        return limit_memory(folder, version, limits->memory_bytes_max + shared_bytes + SLACK_BYTES);
    case CGROUP_CPU:
        return limit_cpu(folder, version, limits->cpu_percent);
    default:
        return put(folder, "pids.max", "%u", 1 + limits->rehearsal_threads);
    }
}

void cgroup_make(const struct cgroup_room *room, pid_t pid, const struct sandbox_limits *limits,
                 uint64_t shared_bytes, struct cgroup *ret_cgroup)
{
    uint32_t *const held[CGROUP_KINDS] = {&ret_cgroup->memory, &ret_cgroup->cpu,
                                          &ret_cgroup->tasks};

    memset(ret_cgroup, 0, sizeof(*ret_cgroup));
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        char *path = ret_cgroup->paths[i];
        const uint32_t version = room->versions[i];

        if (version == SANDBOX_CGROUP_NONE) {
            continue;
        }
        snprintf(path, CGROUP_PATH, "%.440s/sluice-%ld-%ld", room->paths[i], (long)getpid(),
                 (long)pid);
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            path[0] = '\0';
            continue;
        }
        if (limit_kind(path, i, version, limits, shared_bytes) &&
            put(path, "cgroup.procs", "%ld", (long)pid)) {
            *held[i] = version;
        }
    }
}

bool cgroup_out_of_memory(const struct cgroup *cgroup)
{
    char text[512];
    const char *at;

    if (cgroup->memory == SANDBOX_CGROUP_NONE) {
        return false;
    }
    get(cgroup->paths[CGROUP_MEMORY],
        cgroup->memory == SANDBOX_CGROUP_V1 ? "memory.oom_control" : "memory.events", text,
        sizeof(text));
    at = strstr(text, "oom_kill ");
    return at != NULL && strtoull(at + 9, NULL, 10) > 0;
}

void cgroup_remove(struct cgroup *cgroup)
{
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        if (cgroup->paths[i][0] != '\0') {
            (void)rmdir(cgroup->paths[i]);
            cgroup->paths[i][0] = '\0';
        }
    }
}
