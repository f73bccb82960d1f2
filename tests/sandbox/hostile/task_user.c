/* task_user.c: a processor whose records say which tasks it makes (sluice.task/1). */
#include <signal.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static const struct sluice_host *the_host;
static const struct sluice_task_host *tasks;
static uint32_t pieces;

static void say(const char *text)
{
    the_host->log(the_host, SLUICE_LOG_INFO, sluice_text_of(text));
}

static void name_it(void *arg)
{
    say(arg);
}

static void did(void *arg)
{
    (void)arg;
    say("done");
}

static void crash(void *arg)
{
    (void)arg;
    (void)raise(SIGSEGV);
}

static void loop(void *arg)
{
    for (;;) {
        *(volatile uint32_t *)arg += 1;
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

/* A piece, and after it the next one, until there were a thousand. */
static void next_piece(void *arg)
{
    if (++pieces == 1000) {
        say("all pieces");
    } else {
        (void)tasks->submit(tasks, SLUICE_TASK_BACKGROUND, nothing, next_piece, arg);
    }
}

static sluice_status submit(uint32_t priority, sluice_task_work *work, sluice_task_done *done,
                            const char *arg)
{
    return tasks->submit(tasks, priority, work, done, (void *)(uintptr_t)arg);
}

static void fill(void)
{
    char text[64];
    uint32_t count = 0;

    while (count < 1000 && submit(SLUICE_TASK_BACKGROUND, nothing, NULL, NULL) == SLUICE_OK) {
        count++;
    }
    snprintf(text, sizeof(text), "%u, then %d", count,
             submit(SLUICE_TASK_CONTROL, nothing, NULL, NULL) == SLUICE_E_LIMIT);
    say(text);
}

static void obey(struct sluice_bytes value)
{
    const char *word = (const char *)value.data;

    if (memcmp(word, "order", 5) == 0) {
        (void)submit(SLUICE_TASK_BACKGROUND, name_it, NULL, "background");
        (void)submit(SLUICE_TASK_PROCESSING, name_it, NULL, "processing");
        (void)submit(SLUICE_TASK_CONTROL, name_it, NULL, "control");
        (void)submit(SLUICE_TASK_IO, name_it, did, "io");
    } else if (memcmp(word, "wrong", 5) == 0) {
        say(submit(4, nothing, NULL, NULL) == SLUICE_E_INVALID &&
                    submit(0, NULL, NULL, NULL) == SLUICE_E_INVALID
                ? "refused"
                : "taken");
    } else if (memcmp(word, "fill!", 5) == 0) {
        fill();
    } else if (memcmp(word, "crash", 5) == 0) {
        (void)submit(SLUICE_TASK_IO, crash, NULL, NULL);
    } else if (memcmp(word, "loop!", 5) == 0) {
        (void)tasks->submit(tasks, SLUICE_TASK_IO, loop, NULL, &pieces);
    } else if (memcmp(word, "chain", 5) == 0) {
        next_piece(NULL);
    }
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    the_host = host;
    tasks = host->get_extension(host, SLUICE_EXT_TASK);
    *ret_self = NULL;
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    (void)writer;
    if (batch->records[0].value.size >= 5) {
        obey(batch->records[0].value);
    }
    return SLUICE_OK;
}

static const char *const required[] = {SLUICE_EXT_TASK, NULL};
static const struct sluice_processor processor = {.size = sizeof(processor),
                                                  .create = create,
                                                  .process_batch = process_batch,
                                                  .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "task_user", .version = "1.0.0",
              .required_extensions = required, .entry = &processor);
