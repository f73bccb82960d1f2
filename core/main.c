/* main.c: the program `sluice`: `serve` hosts the broker, everything else is a command-line client.
 */
#include "broker/notifier.h"
#include "broker/sluice.h"
#include "cli/cli.h"
#include "os/os_log.h"
#include "os/os_uv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELPER_THREADS   4u
#define REPEAT_WINDOW_MS 5000u
#define EXIT_FENCED      70

struct program {
    struct sl_os *os;
    struct sl_logger *logger;
    struct sluice *sluice;
    struct config_sources sources;
    struct notifier notifier;
    char executable[4096];
};

extern char **environ;

static sl_err load_config(struct program *program, struct sl_config **ret_config)
{
    struct config_report *report = calloc(1, sizeof(*report));
    if (report == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = config_load(program->os, &program->sources, report, ret_config);
    if (err != SLUICE_OK) {
        config_report_write(report, stderr);
    }
    free(report);
    return err;
}

/* [helper] */
static sl_err load_again(void *arg, struct config_report *report, struct sl_config **ret_config)
{
    const struct program *program = arg;
    return config_load(program->os, &program->sources, report, ret_config);
}

static void reload(struct program *program)
{
    sl_err err = sluice_reload(program->sluice, false, NULL, NULL);
    if (err != SLUICE_OK) {
        sl_log(program->logger, SL_LOG_ERROR, "config", "not reloaded: nothing was changed",
               sl_log_err(err));
    }
}

static void on_signal(void *arg, int number)
{
    struct program *program = arg;
    if (number == SIGHUP) {
        reload(program);
    } else {
        sluice_stop(program->sluice);
    }
}

/* ---- what the service manager is told ---- */

static void on_ready(void *arg)
{
    notifier_ready(&((struct program *)arg)->notifier);
}

static void on_stopping(void *arg)
{
    notifier_stopping(&((struct program *)arg)->notifier);
}

static void on_reloading(void *arg, bool has_begun)
{
    struct program *program = arg;
    if (has_begun) {
        notifier_reloading(&program->notifier);
    } else {
        notifier_ready(&program->notifier);
    }
}

static sl_err make_logger(struct program *program, const struct sl_config *config)
{
    struct sl_log_config log = {.sink = sl_os_log_stderr,
                                .wall_ms = sl_os_log_clock,
                                .clock_arg = program->os,
                                .level = (enum sl_log_level)config->log.level,
                                .format = (enum sl_log_format)config->log.format,
                                .colour = sl_os_log_is_terminal(),
                                .repeat_window_ms = REPEAT_WINDOW_MS};
    return sl_logger_new(&log, &program->logger);
}

static int run(struct program *program, struct sl_config *config)
{
    static char problem[SLUICE_PROBLEM_BYTES];
    const struct sluice_events events = {.arg = program,
                                         .load = load_again,
                                         .ready = on_ready,
                                         .stopping = on_stopping,
                                         .reloading = on_reloading};
    sl_err err =
        sluice_new(program->os, program->logger, config, &events, &program->sluice, problem);
    if (err != SLUICE_OK) {
        sl_log(program->logger, SL_LOG_ERROR, "sluice", problem, sl_log_err(err));
        return CLI_FAILED;
    }
    err = sl_signals_watch(sluice_loop(program->sluice), on_signal, program);
    if (err == SLUICE_OK) {
        const struct notifier_sources told = {getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
                                              getenv("WATCHDOG_PID")};
        err = notifier_start(&program->notifier, &told, program->os, program->sluice);
    }
    if (err == SLUICE_OK) {
        sluice_run(program->sluice);
    }
    bool fenced = sluice_is_fenced(program->sluice);
    sluice_free(program->sluice);
    return err != SLUICE_OK ? CLI_FAILED : fenced ? EXIT_FENCED : CLI_OK;
}

static int serve(struct program *program, int argc, char **argv)
{
    bool help = false;
    char problem[CONFIG_PROBLEM_TEXT_MAX];
    if (config_args(argc, argv, &program->sources, &help, problem) != SLUICE_OK) {
        fprintf(stderr, "sluice serve: %s\n", problem);
        return CLI_USAGE;
    }
    if (help) {
        config_help_write(stdout);
        return CLI_OK;
    }
    program->sources.environment = (const char *const *)environ;
    program->sources.executable = program->executable;
    struct sl_config *config = NULL;
    if (load_config(program, &config) != SLUICE_OK) {
        return CLI_CONFIG;
    }
    if (make_logger(program, config) != SLUICE_OK) {
        config_free(config);
        return CLI_FAILED;
    }
    int code = run(program, config);
    sl_logger_free(program->logger);
    return code;
}

int main(int argc, char **argv)
{
    static struct program program;
    ssize_t size = readlink("/proc/self/exe", program.executable, sizeof(program.executable) - 1);
    program.executable[size > 0 ? size : 0] = '\0';
    if (sl_os_uv_new(HELPER_THREADS, &program.os) != SLUICE_OK) {
        fprintf(stderr, "sluice: out of memory\n");
        return CLI_FAILED;
    }
    bool serves = argc > 1 && strcmp(argv[1], "serve") == 0;
    int code = serves ? serve(&program, argc - 2, argv + 2) : cli_main(argc, argv, program.os);
    sl_os_free(program.os);
    return code;
}
