/* selftest_table.c: every attack, what it is and how it must end. */
#include "attack_calls.h"

#include <sandbox/selftest.h>

#define KILL_SOON_MS 150u /* soft deadline of attacks that end by it; the kill comes at twice */

/* clang-format off */
#define CALL_ROW(call, a, b, c, d, e, f) \
    {.name = "call " #call, .group = "calls", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_DENIED, .text = #call},
#define KILLED(group_, name_, cause_, text_) \
    {.name = name_, .group = group_, .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_##cause_, .text = text_}
#define SLOW(group_, name_, cause_) \
    {.name = name_, .group = group_, .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_##cause_, .text = "", .timeout_ms = KILL_SOON_MS}
#define SMALL(group_, name_, cause_, text_) \
    {.name = name_, .group = group_, .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_##cause_, .text = text_, .memory_mib = 32}
#define ANSWERED(group_, name_, text_) {.name = name_, .group = group_, .how = SELFTEST_ANSWERED, .text = text_}
#define REJECTED(group_, name_, text_) {.name = name_, .group = group_, .how = SELFTEST_REJECTED, .text = text_}
#define LUA(file, how_, text_)  {.name = "lua " file, .group = "lua", .how = SELFTEST_##how_, .text = text_, .script = file ".lua"}
/* Stopped by the deadline that the script's host arms; the kill is far. */
#define LUA_LATE(file)          {.name = "lua " file, .group = "lua", .how = SELFTEST_REJECTED, .text = "the deadline passed", .script = file ".lua", .timeout_ms = 20}
/* Nothing inside the process stops it: the worker is killed. */
#define LUA_KILL(file)          {.name = "lua " file, .group = "lua", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_DEADLINE, .text = "past its deadline", .script = file ".lua", .timeout_ms = KILL_SOON_MS}
#define LUA_MEMORY(file)        {.name = "lua " file, .group = "lua", .how = SELFTEST_REJECTED, .text = "not enough memory", .script = file ".lua", .memory_mib = 32}

/* processor_ffi calls a function of library_plain.so. */
#define CALLED(name_, signature, cause_, text_) \
    {.name = name_, .group = "ffi", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_##cause_, .text = text_, .function = signature}

static const struct selftest_attack attacks[] = {
    ATTACK_CALL_TABLE(CALL_ROW)
    ATTACK_CALL_X86_TABLE(CALL_ROW)
    KILLED("calls", "clone3, then clone", DENIED, "clone"),
    KILLED("calls", "clone a thread", DENIED, "clone"),
    KILLED("calls", "threads without end", DENIED, "clone"),
    KILLED("calls", "call an unknown number", DENIED, "system call 999"),
#if defined(__x86_64__)
    KILLED("calls", "call by the x32 numbers", DENIED, ""),
    KILLED("calls", "call by the i386 gate", DENIED, ""),
#endif
    ANSWERED("calls", "look for files", "no file is there"),
    ANSWERED("calls", "look for open descriptors", "no descriptor but its own"),
    ANSWERED("calls", "read the environment", "no environment"),

    KILLED("loading", "constructor socket", DENIED, "socket"),
    KILLED("loading", "constructor execve", DENIED, "execve"),
    KILLED("loading", "constructor fork bomb", DENIED, "clone"),
    KILLED("loading", "constructor create", DENIED, "openat"),
    KILLED("loading", "constructor kill", DENIED, "kill"),
    KILLED("loading", "constructor ptrace", DENIED, "ptrace"),
    KILLED("loading", "constructor io_uring", DENIED, "io_uring_setup"),
    KILLED("loading", "constructor read files", EXIT, "status 3"),
    KILLED("loading", "constructor crash", CRASH, "SIGABRT"),
    KILLED("loading", "constructor forge a listener", PROTOCOL, "breaks the protocol"),
    SMALL("loading", "constructor allocate", MEMORY, "32 MiB"),
    SLOW("loading", "constructor loop", DEADLINE),
    SLOW("loading", "constructor forge ready", DEADLINE),
    KILLED("loading", "create socket", DENIED, "socket"),
    KILLED("loading", "create execve", DENIED, "execve"),
    SLOW("loading", "create loop", DEADLINE),
    KILLED("loading", "init fork bomb", DENIED, "clone"),
    SLOW("loading", "init loop", DEADLINE),
    KILLED("loading", "describe without end", REFUSED, "more than 512 bytes"),
    KILLED("loading", "describe a million outputs", REFUSED, "does not know"),
    KILLED("loading", "drain socket", DENIED, "socket"),
    SLOW("loading", "drain loop", DEADLINE),
    KILLED("loading", "destroy execve", DENIED, "execve"),
    KILLED("loading", "destroy crash", CRASH, "SIGABRT"),
    KILLED("loading", "destructor socket", DENIED, "socket"),
    SLOW("loading", "destructor loop", DEADLINE),

    KILLED("life", "crash by a bad pointer", CRASH, "SIGSEGV"),
    KILLED("life", "crash by an illegal instruction", CRASH, "SIG"),
    KILLED("life", "crash by a division", CRASH, "SIGFPE"),
    KILLED("life", "crash by abort", CRASH, "SIGABRT"),
    KILLED("life", "crash by endless recursion", CRASH, "SIGSEGV"),
    KILLED("life", "crash by freeing twice", CRASH, "SIGABRT"),
    KILLED("life", "run data as code", CRASH, "SIGSEGV"),
    KILLED("life", "exit in a batch", EXIT, "status 7"),
    SLOW("life", "loop for ever", DEADLINE),
    SLOW("life", "sleep for ever", DEADLINE),
    SLOW("life", "loop with every signal handled", DEADLINE),
    SLOW("life", "loop with every signal blocked", DEADLINE),
    SLOW("life", "signal handler that outlives a bad pointer", DEADLINE),
    SLOW("life", "signal handler that never ends", DEADLINE),
    {.name = "answer, then loop in a handler", .group = "life", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_DEADLINE, .text = "", .timeout_ms = KILL_SOON_MS},
    {.name = "answer at the last moment", .group = "life", .how = SELFTEST_ANY, .text = "", .timeout_ms = 2000},
    SLOW("life", "task that never ends", TASK),
    KILLED("life", "task that crashes", TASK, "SIGABRT, in a task of its own"),
    KILLED("life", "task that was none", TASK, "in a task of its own"),
    ANSWERED("life", "tasks without end", "64 tasks, then no more"),
    SMALL("life", "allocate without end", MEMORY, "32 MiB"),
    ANSWERED("life", "map without end", "then no more"),
    KILLED("life", "shared memory without end", DENIED, "mmap"),
    ANSWERED("life", "timers without end", "no timer"),
    REJECTED("life", "emit without end", "could not be written"),
    REJECTED("life", "emit to other topics", "no topic but its own"),

    KILLED("rings", "ring: more answers than tasks", PROTOCOL, ""),
    KILLED("rings", "ring: an index that wraps", PROTOCOL, ""),
    KILLED("rings", "ring: a length beyond the region", PROTOCOL, ""),
    KILLED("rings", "ring: a length into the next slot", PROTOCOL, ""),
    KILLED("rings", "ring: a length below the least", PROTOCOL, ""),
    KILLED("rings", "ring: verdicts longer than the answer", PROTOCOL, ""),
    KILLED("rings", "ring: an error longer than the answer", PROTOCOL, ""),
    KILLED("rings", "ring: another magic number", PROTOCOL, ""),
    KILLED("rings", "ring: the answer of another task", PROTOCOL, ""),
    KILLED("rings", "ring: a verdict on no record", PROTOCOL, ""),
    KILLED("rings", "ring: a verdict of no kind", PROTOCOL, ""),
    KILLED("rings", "ring: a verdict of no size", PROTOCOL, ""),
    KILLED("rings", "ring: a reason without end", PROTOCOL, ""),
    KILLED("rings", "ring: a value without end", PROTOCOL, ""),
    KILLED("rings", "ring: headers without end", PROTOCOL, ""),
    {.name = "ring: a replayed descriptor", .group = "rings", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_PROTOCOL, .text = "", .tasks = 2},
    {.name = "ring: lengths that flip while they are read", .group = "rings", .how = SELFTEST_ANY, .text = "", .timeout_ms = KILL_SOON_MS},
    {.name = "ring: 1,000,000 random writes", .group = "rings", .how = SELFTEST_ANY, .text = "", .timeout_ms = 2000},
    KILLED("rings", "ring: write to the host's region", CRASH, "SIGSEGV"),
    ANSWERED("rings", "ring: unlock the host's region", "stays read-only"),
    {.name = "ring: write beyond its region", .group = "rings", .how = SELFTEST_ANY, .text = ""},
    ANSWERED("rings", "ring: write to slots of other tasks", "slots of other tasks"),
    SLOW("rings", "ring: wake without end", DEADLINE),
    {.name = "ring: fill the event counter", .group = "rings", .how = SELFTEST_ANY, .text = "", .timeout_ms = 2000},
    ANSWERED("rings", "ring: lie about sleep and memory", "lied"),

    KILLED("control", "control: garbage", PROTOCOL, ""),
    KILLED("control", "control: an empty message", PROTOCOL, ""),
    KILLED("control", "control: a message too large", PROTOCOL, ""),
    KILLED("control", "control: close it", PROTOCOL, ""),
    KILLED("control", "control: flood the log", PROTOCOL, "floods the log"),
    KILLED("control", "control: a log line that lies", PROTOCOL, ""),
    KILLED("control", "control: pass a descriptor", PROTOCOL, ""),
    KILLED("control", "control: be ready twice", PROTOCOL, ""),
    KILLED("control", "control: be drained unasked", PROTOCOL, ""),
    KILLED("control", "control: fail after it was ready", PROTOCOL, ""),
    KILLED("control", "control: an unknown kind", PROTOCOL, ""),

    LUA_LATE("loop"),
    LUA_LATE("pcall-loop"),
    LUA_LATE("xpcall-handler"),
    LUA_LATE("close-loop"),
    LUA_LATE("coroutine-loop"),
    LUA_LATE("gsub-callback"),
    LUA_LATE("sort-comparator"),
    LUA_KILL("pattern"),
    LUA_KILL("table-move"),
    LUA_MEMORY("table-bomb"),
    LUA("string-rep", REJECTED, "too large"),
    LUA_MEMORY("string-rep-grow"),
    LUA_MEMORY("table-concat"),
    LUA_MEMORY("coroutine-bomb"),
    LUA("coroutine-nest", REJECTED, ""),
    LUA("gc-finaliser", REJECTED, "__gc is not available here"),
    LUA("gc-added-later", ANSWERED, ""),
    {.name = "lua bytecode", .group = "lua", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_REFUSED, .text = "", .script = "bytecode.lua", .bytecode = true},
    LUA("load-code", REJECTED, "load"),
    LUA("dump-code", REJECTED, "dump"),
    LUA("io-open", REJECTED, "io"),
    LUA("os-execute", REJECTED, "os"),
    LUA("require-module", REJECTED, "require"),
    LUA("dofile-outside", REJECTED, "dofile"),
    LUA("debug-library", REJECTED, "debug"),
    LUA("string-metatable", REJECTED, ""),
    LUA("record-metatable", REJECTED, ""),
    LUA("library-write", REJECTED, "read-only"),
    LUA("library-rawset", REJECTED, "protected"),
    LUA("record-kept", REJECTED, ""),
    LUA("fake-userdata", REJECTED, ""),
    LUA("tostring-loop", ANY, ""),
    LUA("index-loop", REJECTED, ""),
    LUA("recursion", REJECTED, ""),
    LUA("format-width", REJECTED, "invalid"),
    LUA("emit-flood", REJECTED, ""),
    LUA("emit-elsewhere", REJECTED, "not granted"),
    LUA("header-flood", REJECTED, ""),
    LUA("json-nest", REJECTED, ""),
    LUA("log-flood", ANSWERED, ""),
    {.name = "lua chunk-loop", .group = "lua", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_REFUSED, .text = "deadline", .script = "chunk-loop.lua"},
    {.name = "lua init-loop", .group = "lua", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_REFUSED, .text = "deadline", .script = "init-loop.lua"},

    CALLED("ffi wrong signature", "u64 wants_text(i64)", CRASH, "SIGSEGV"),
    CALLED("ffi malformed signature", "u64 wants_text(i64", REFUSED, "',' or ')' is wanted here"),
    CALLED("ffi crash in the function", "i32 bad_pointer()", CRASH, "SIGSEGV"),
    CALLED("ffi function without end to its stack", "i32 recurses(i32)", CRASH, "SIGSEGV"),
    CALLED("ffi function calls system", "i32 run_shell()", DENIED, "clone"),
    CALLED("ffi function opens a file", "i32 open_file()", DENIED, "openat"),
    CALLED("ffi function opens a socket", "i32 open_socket()", DENIED, "socket"),
    CALLED("ffi function ends the process", "i32 ends_the_process()", EXIT, "status 5"),
    {.name = "ffi function never returns", .group = "ffi", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_DEADLINE, .text = "", .timeout_ms = KILL_SOON_MS, .function = "i32 never_returns()"},
    CALLED("ffi function writes beyond its room", "i32 writes_beyond(out(64))", CRASH, "SIGSEGV"),
    {.name = "ffi function says it wrote more than its room", .group = "ffi", .how = SELFTEST_REJECTED, .text = "more than out(N) has room for", .function = "i32 says_too_much(out(64))"},
    CALLED("ffi result that is no pointer", "cstr wild_text()", CRASH, "SIGSEGV"),
    {.name = "ffi result without end", .group = "ffi", .how = SELFTEST_REJECTED, .text = "does not end", .function = "cstr endless_text()"},
    {.name = "ffi forbidden library", .group = "ffi", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_REFUSED, .text = "the library libc.so.6 is not allowed", .function = "i32 getpid()", .library = "libc.so.6"},
    {.name = "ffi library by a path in its name", .group = "ffi", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_REFUSED, .text = "is not allowed", .function = "i32 getpid()", .library = "../../../../lib/x86_64-linux-gnu/libc.so.6"},
    {.name = "ffi constructor opens a socket", .group = "ffi", .how = SELFTEST_KILLED, .cause = SANDBOX_CAUSE_DENIED, .text = "socket", .function = "i32 harmless(i32)", .library = "library_constructor.so"},
    LUA("ffi-forbidden", REJECTED, "the library libc.so.6 is not allowed"),
    LUA("ffi-late", REJECTED, "only while the script is loaded"),
    LUA("ffi-cast", REJECTED, "nil value"),
    LUA("ffi-write", REJECTED, "ffi is read-only"),
};
/* clang-format on */

uint32_t selftest_count(void)
{
    return (uint32_t)(sizeof(attacks) / sizeof(attacks[0]));
}

const struct selftest_attack *selftest_attack(uint32_t index)
{
    return index < selftest_count() ? &attacks[index] : NULL;
}
