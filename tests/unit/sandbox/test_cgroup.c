/* test_cgroup.c: where cgroups for workers can be made and what is written there, in trees of
 * ordinary folders that look as the kernel's do. What the kernel makes of it is seen by the attack
 * suite. */
#include "cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/sluice-cgroup-XXXXXX";

static void put(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A file below root, with its folders. */
static void put(const char *text, const char *format, ...)
{
    char path[1024];
    va_list arguments;
    size_t used = (size_t)snprintf(path, sizeof(path), "%s/", root);

    va_start(arguments, format);
    vsnprintf(path + used, sizeof(path) - used, format, arguments);
    va_end(arguments);
    for (char *slash = path + used; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    fclose(file);
}

static const char *get(const char *name)
{
    static char text[256];
    char path[1024];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return "(none)";
    }
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* What the kernel tells of this process: its groups, and one mount of a hierarchy. */
static void proc(const char *groups, const char *shown, const char *point, const char *kind)
{
    char text[2048];

    snprintf(text, sizeof(text), "31 1 0:27 %s %s/%s rw,relatime shared:4 - %s\n", shown, root,
             point, kind);
    put(groups, "proc/cgroup");
    put(text, "proc/mountinfo");
}

#define MOUNT_2      "/", "fs", "cgroup2 cgroup2 rw,nsdelegate"
#define MOUNT_MEMORY "/", "memory", "cgroup cgroup rw,memory"

static void open_room(struct cgroup_room *room)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/proc", root);
    cgroup_room_open(room, path);
}

/* A unit of version 2 with its files, as systemd delegates it. */
static void make_unit(const char *name, const char *processes)
{
    put("domain\n", "fs/%s/cgroup.type", name);
    put("cpu memory pids\n", "fs/%s/cgroup.controllers", name);
    put("", "fs/%s/cgroup.subtree_control", name);
    put(processes, "fs/%s/cgroup.procs", name);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static void end(void)
{
    cr_assert_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(cgroup, .init = begin, .fini = end);

Test(cgroup, the_broker_of_a_delegated_unit_moves_into_a_leaf)
{
    struct cgroup_room room;
    char pid[32];

    snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    proc("0::/system.slice/sluice.service\n", MOUNT_2);
    make_unit("system.slice/sluice.service", pid);
    put("", "fs/system.slice/sluice.service/sluice-broker/cgroup.procs");
    open_room(&room);
    pid[strlen(pid) - 1] = '\0';
    cr_assert_str_eq(get("fs/system.slice/sluice.service/sluice-broker/cgroup.procs"), pid);
    /* "+memory", "+cpu", "+pids": the kernel adds, in a plain file each begins at its start. */
    cr_assert_str_eq(get("fs/system.slice/sluice.service/cgroup.subtree_control"), "+pidsry");
}

Test(cgroup, a_unit_with_other_processes_is_left_alone)
{
    struct cgroup_room room;

    proc("0::/user.slice/session.scope\n", MOUNT_2);
    make_unit("user.slice/session.scope", "1\n2\n");
    open_room(&room);
    cr_assert_str_eq(get("fs/user.slice/session.scope/cgroup.subtree_control"), "");
    cr_assert_eq(room.versions[CGROUP_MEMORY], SANDBOX_CGROUP_NONE);
}

Test(cgroup, the_root_of_a_hierarchy_is_left_alone)
{
    struct cgroup_room room;

    proc("0::/\n4:memory:/\n", MOUNT_2);
    put("cpu memory pids\n", "fs/cgroup.controllers");
    put("", "fs/cgroup.subtree_control");
    open_room(&room);
    cr_assert_str_eq(get("fs/cgroup.subtree_control"), "");
    proc("4:memory:/\n", MOUNT_MEMORY);
    put("", "memory/release_agent");
    open_room(&room);
    cr_assert_eq(room.versions[CGROUP_MEMORY], SANDBOX_CGROUP_NONE);
}

/* A worker's group in a room of one version, its files already there. */
static void make_worker(const char *folder, const char *const *files, struct cgroup_room *room,
                        struct cgroup *ret_cgroup)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;

    for (; *files != NULL; files++) {
        put("", "%s/sluice-%ld-4242/%s", folder, (long)getpid(), *files);
    }
    cgroup_make(room, 4242, &limits, 40u << 20, ret_cgroup);
}

static const char *of_worker(const char *folder, const char *file)
{
    char name[256];

    snprintf(name, sizeof(name), "%s/sluice-%ld-4242/%s", folder, (long)getpid(), file);
    return get(name);
}

/* systemd's DelegateSubgroup: the broker is in a leaf already. */
Test(cgroup, version_2_bounds_memory_cpu_and_tasks)
{
    static const char *const files[] = {"memory.max", "memory.swap.max", "cpu.max",
                                        "pids.max",   "cgroup.procs",    NULL};
    struct cgroup_room room;
    struct cgroup cgroup;
    const char *unit = "fs/system.slice/sluice.service";

    proc("0::/system.slice/sluice.service/broker\n", MOUNT_2);
    make_unit("system.slice/sluice.service", "");
    make_unit("system.slice/sluice.service/broker", "1\n");
    open_room(&room);
    /* What the kernel would show after "+memory", "+cpu", "+pids". */
    put("cpu memory pids\n", "%s/cgroup.subtree_control", unit);
    chmod(root, 0755);
    for (uint32_t i = 0; i < CGROUP_KINDS; i++) {
        room.versions[i] = SANDBOX_CGROUP_V2;
        snprintf(room.paths[i], CGROUP_PATH, "%s/%s", root, unit);
    }
    make_worker(unit, files, &room, &cgroup);
    cr_assert_eq(cgroup.memory, SANDBOX_CGROUP_V2);
    cr_assert_eq(cgroup.cpu, SANDBOX_CGROUP_V2);
    cr_assert_eq(cgroup.tasks, SANDBOX_CGROUP_V2);
    cr_assert_str_eq(of_worker(unit, "memory.max"), "197132288"); /* 100 + 40 + 48 MiB */
    cr_assert_str_eq(of_worker(unit, "memory.swap.max"), "0");
    cr_assert_str_eq(of_worker(unit, "cpu.max"), "500000 1000000"); /* five times 10 % */
    cr_assert_str_eq(of_worker(unit, "pids.max"), "1");
    cr_assert_str_eq(of_worker(unit, "cgroup.procs"), "4242");
    cr_assert_not(cgroup_out_of_memory(&cgroup));
    put("low 0\nmax 3\noom 1\noom_kill 1\n", "%s/sluice-%ld-4242/memory.events", unit,
        (long)getpid());
    cr_assert(cgroup_out_of_memory(&cgroup));
}

Test(cgroup, version_1_bounds_memory_where_the_broker_has_a_group)
{
    static const char *const files[] = {"memory.limit_in_bytes", "cgroup.procs", NULL};
    struct cgroup_room room;
    struct cgroup cgroup;
    char left[128];

    proc("4:memory:/box\n3:cpu:/\n0::/\n", MOUNT_MEMORY);
    put("", "memory/box/cgroup.procs");
    snprintf(left, sizeof(left), "%s/memory/box/sluice-4999999-4999998", root);
    cr_assert_eq(mkdir(left, 0755), 0); /* of a broker that died with its worker */
    open_room(&room);
    cr_assert_eq(room.versions[CGROUP_MEMORY], SANDBOX_CGROUP_V1);
    cr_assert_eq(room.versions[CGROUP_CPU], SANDBOX_CGROUP_NONE);
    cr_assert_neq(access(left, F_OK), 0);
    make_worker("memory/box", files, &room, &cgroup);
    cr_assert_eq(cgroup.memory, SANDBOX_CGROUP_V1);
    cr_assert_eq(cgroup.cpu, SANDBOX_CGROUP_NONE);
    cr_assert_str_eq(of_worker("memory/box", "memory.limit_in_bytes"), "197132288");
    put("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "memory/box/sluice-%ld-4242/memory.oom_control", (long)getpid());
    cr_assert(cgroup_out_of_memory(&cgroup));
}

Test(cgroup, a_container_s_mount_shows_its_own_part_of_the_tree)
{
    struct cgroup_room room;

    proc("4:memory:/docker/abc\n", "/docker/abc", "memory", "cgroup cgroup rw,memory");
    put("", "memory/cgroup.procs");
    open_room(&room);
    cr_assert_eq(room.versions[CGROUP_MEMORY], SANDBOX_CGROUP_V1);
    cr_assert_str_eq(room.paths[CGROUP_MEMORY] + strlen(root), "/memory");
}

Test(cgroup, what_cannot_be_written_is_not_claimed)
{
    static const char *const files[] = {NULL};
    struct cgroup_room room;
    struct cgroup cgroup;

    proc("4:memory:/box\n", MOUNT_MEMORY);
    put("", "memory/box/cgroup.procs");
    open_room(&room);
    make_worker("memory/box", files, &room, &cgroup); /* a folder without the kernel's files */
    cr_assert_eq(cgroup.memory, SANDBOX_CGROUP_NONE);
    cgroup_remove(&cgroup);
    cr_assert_str_eq(of_worker("memory/box", "memory.limit_in_bytes"), "(none)");
}
