/* layers.c: see sandbox/layers.h. */
#include <sandbox/layers.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct layers {
    struct sandbox_layer *items;
    uint32_t count;
};

static void add(struct layers *layers, const char *name, uint32_t state, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(struct layers *layers, const char *name, uint32_t state, const char *format, ...)
{
    static const char *const labels[] = {"in force", "partly", "not available", "off"};
    struct sandbox_layer *layer = &layers->items[layers->count++];
    va_list arguments;

    layer->name = name;
    layer->state = state;
    layer->label = labels[state];
    va_start(arguments, format);
    vsnprintf(layer->text, sizeof(layer->text), format, arguments);
    va_end(arguments);
}

static void add_rlimits(struct layers *layers, const struct sandbox_limits *limits)
{
    add(layers, "rlimits", SANDBOX_LAYER_IN_FORCE,
        "%llu MiB of writable memory, %u descriptors, %u MiB of stack, no new process, no file "
        "written, no core dump",
        (unsigned long long)(limits->memory_bytes_max >> 20), limits->descriptors_max,
        limits->stack_bytes_max >> 20);
}

static void add_namespaces(struct layers *layers, const struct sandbox_report *report)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } spaces[] = {
        {SANDBOX_SPACE_USER, "user"},    {SANDBOX_SPACE_NET, "network"},
        {SANDBOX_SPACE_IPC, "ipc"},      {SANDBOX_SPACE_UTS, "host name"},
        {SANDBOX_SPACE_MOUNT, "mounts"}, {SANDBOX_SPACE_CGROUP, "cgroups"},
    };
    const uint32_t wanted = ~SANDBOX_SPACE_USER & ((1u << 6) - 1u);
    const uint32_t made = report->spaces & wanted;
    char own[96] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if ((report->spaces & spaces[i].bit) != 0) {
            used += (size_t)snprintf(own + used, sizeof(own) - used, "%s%s", used > 0 ? ", " : "",
                                     spaces[i].name);
        }
    }
    if (made == wanted) {
        add(layers, "namespaces", SANDBOX_LAYER_IN_FORCE,
            "its own: %s; no process namespace: signals and tracing are denied by the layers below",
            own);
    } else if (made != 0) {
        add(layers, "namespaces", SANDBOX_LAYER_PARTLY, "its own: %s; the others: %s", own,
            strerror(report->spaces_error));
    } else {
        add(layers, "namespaces", SANDBOX_LAYER_UNAVAILABLE,
            "the kernel refuses them to this process (%s): it has no CAP_SYS_ADMIN, and user "
            "namespaces are off",
            report->spaces_error != 0 ? strerror(report->spaces_error) : "no reason given");
    }
}

static void add_ids(struct layers *layers, const struct sandbox_report *report)
{
    if (report->ids_dropped) {
        add(layers, "user id", SANDBOX_LAYER_IN_FORCE, "an id of its own, %u, and no groups",
            report->uid);
    } else {
        add(layers, "user id", SANDBOX_LAYER_UNAVAILABLE,
            "it runs as the broker does, user %u: only a broker that starts as root can give ids",
            report->uid);
    }
    add(layers, "capabilities",
        report->capabilities_dropped ? SANDBOX_LAYER_IN_FORCE : SANDBOX_LAYER_UNAVAILABLE,
        report->capabilities_dropped ? "none, and no_new_privs: no program can give any"
                                     : "they could not be dropped");
}

static void add_landlock(struct layers *layers, int32_t abi)
{
    if (abi <= 0) {
        add(layers, "landlock", SANDBOX_LAYER_UNAVAILABLE,
            "this kernel has none (Linux 5.13 and lsm=landlock): while it loads, a module can read "
            "files that its user may read; seccomp denies every open once it runs");
        return;
    }
    add(layers, "landlock", abi >= 6 ? SANDBOX_LAYER_IN_FORCE : SANDBOX_LAYER_PARTLY,
        "ABI %d: libraries only while it loads, no file once it runs%s%s", abi,
        abi >= 4 ? "; no TCP bind or connect" : "; network rules need ABI 4",
        abi >= 6 ? "; no signal, no abstract socket outside" : "; signal scopes need ABI 6");
}

static void add_seccomp(struct layers *layers, const struct sandbox_report *report)
{
    add(layers, "seccomp stage 1", SANDBOX_LAYER_IN_FORCE,
        "before the module is loaded: constructors can read and map libraries and little else");
    add(layers, "seccomp stage 2", SANDBOX_LAYER_IN_FORCE,
        "before the first record: no open, no socket, no process, no new code, no shared memory");
    if (report->listener) {
        add(layers, "naming", SANDBOX_LAYER_IN_FORCE,
            "the broker is asked about each call that no filter allows: it names it and kills");
    } else {
        add(layers, "naming", SANDBOX_LAYER_UNAVAILABLE,
            "%s: the kernel kills at a denied call and nobody can name it",
            report->listener_refused ? "a container above has a listener of its own, or refuses one"
                                     : "this kernel has no user notification (Linux 5.0)");
    }
}

static void add_cgroup(struct layers *layers, const char *name, uint32_t version, const char *holds,
                       const char *without)
{
    if (version == SANDBOX_CGROUP_NONE) {
        add(layers, name, SANDBOX_LAYER_UNAVAILABLE,
            "no group with this controller can be made here (version 2: delegate it, Delegate=yes; "
            "version 1: not in the root group); %s",
            without);
    } else {
        add(layers, name, SANDBOX_LAYER_IN_FORCE, "version %u: %s", version, holds);
    }
}

static void add_cgroups(struct layers *layers, const struct sandbox_report *report)
{
    const uint32_t percent = report->limits.cpu_percent;

    add_cgroup(layers, "cgroup memory", report->cgroup_memory,
               "all of its memory, with channel, tables and libraries",
               "the rlimit on writable memory holds");
    if (percent == 0 || percent >= 20) {
        add(layers, "cgroup cpu", SANDBOX_LAYER_OFF,
            "five times its share is a whole processor, and it has one thread");
    } else {
        add_cgroup(layers, "cgroup cpu", report->cgroup_cpu,
                   "five times its share, for what runs between its batches",
                   "pacing and deadlines hold");
    }
    add_cgroup(layers, "cgroup tasks", report->cgroup_tasks, "one task",
               "seccomp denies new tasks, and so does the rlimit");
}

uint32_t sandbox_layers(const struct sandbox_report *report,
                        struct sandbox_layer ret_layers[SANDBOX_LAYERS_MAX])
{
    const struct sandbox_limits *limits = &report->limits;
    struct layers layers = {ret_layers, 0};

    add(&layers, "process", SANDBOX_LAYER_IN_FORCE,
        "a program of its own with an empty environment and no descriptor but its channel's");
    add_cgroups(&layers, report);
    add_rlimits(&layers, limits);
    add_namespaces(&layers, report);
    add_ids(&layers, report);
    add_landlock(&layers, report->landlock_abi);
    add_seccomp(&layers, report);
    if (limits->cpu_percent > 0) {
        add(&layers, "cpu share", SANDBOX_LAYER_IN_FORCE,
            "%u %% of one processor by its CPU clock, %u ms at once; then batches wait",
            limits->cpu_percent, limits->cpu_burst_ms);
    } else {
        add(&layers, "cpu share", SANDBOX_LAYER_OFF, "no share is set");
    }
    if (report->observe) {
        add(&layers, "mode", SANDBOX_LAYER_OFF,
            "observe: a denied call is logged and fails, the worker lives; for development only");
    } else {
        add(&layers, "mode", SANDBOX_LAYER_IN_FORCE, "enforce: a denied call ends the worker");
    }
    return layers.count;
}
