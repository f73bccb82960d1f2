"""Tasks of a processor (sluice.task/1) in a real broker: beside its records, and where they go wrong."""
import os
import unittest

import test_plugins
from sluice_broker import SOURCE, wait_for

TOP = r"""
#include <sluice/task.h>
#include <signal.h>
static const struct sluice_task_host *tasks;
static const struct sluice_host *the_host;
static int pieces;
static void nothing(void *arg) { (void)arg; }
static void next_piece(void *arg)
{
    (void)arg;
    if (++pieces == 5000) the_host->log(the_host, SLUICE_LOG_INFO, sluice_text_of("5000 pieces"));
    else tasks->submit(tasks, SLUICE_TASK_BACKGROUND, nothing, next_piece, 0);
}
static void loop(void *arg) { for (;;) pieces++; }
static void crash(void *arg) { raise(SIGSEGV); }
static int has(const struct sluice_record *record, const char *word);
static void obey(const struct sluice_host *host, const struct sluice_record *record)
{
    the_host = host;
    tasks = host->get_extension(host, SLUICE_EXT_TASK);
    if (has(record, "chain")) next_piece(0);
    if (has(record, "loop")) tasks->submit(tasks, SLUICE_TASK_CONTROL, loop, 0, 0);
    if (has(record, "crash")) tasks->submit(tasks, SLUICE_TASK_CONTROL, crash, 0, 0);
}
"""
# The output region begins that far before what reserve gives for the first verdict of the first slot.
LIE = r"""
#include <sandbox/channel.h>
#include "%s/sandbox/channel_layout.h"
""" % SOURCE
LIE_EACH = r"""
if (has(record, "lie")) {
    static const struct channel_geometry geometry = {4, 4u << 20, 8u << 20};
    for (uint32_t slot = 0; slot < 4; slot++) {
        uint8_t *memory;
        writer->reserve(writer, 8, &memory);
        uint8_t *output = memory - CHANNEL_EMIT_VALUE_AT - sizeof(struct channel_result_wire) -
                          CHANNEL_HEAD_BYTES - batches %% 4 * geometry.output_slot_bytes;
        ((struct channel_output_head *)output)->in_task = 1;
        abort();
    }
}
""".replace("%%", "%")


class Tasks(test_plugins.PluginTest):
    def drop_tasks(self, **limits):
        self.drop_c("runner", "obey((const struct sluice_host *)self, record);", top=TOP, limits=limits or {})

    def test_tasks_run_between_batches_and_records_go_on(self):
        self.drop_tasks()
        self.produce("runner", "a", "chain", "b")
        self.wait_log(" runner ", "5000 pieces")
        self.produce("runner", "c")
        self.assertEqual(self.wait_values("runner.out", 4), ["a", "chain", "b", "c"])
        self.assertEqual(self.info("runner")["worker_deaths"], "0")

    def test_a_task_that_never_ends_costs_no_record(self):
        self.drop_tasks(deadline_ms=500)
        self.produce("runner", "a", "loop")
        self.assertEqual(self.wait_values("runner.out", 2), ["a", "loop"])
        self.produce("runner", "b", "c")
        self.assertEqual(self.wait_values("runner.out", 4), ["a", "loop", "b", "c"])
        info = self.info("runner")
        self.assertEqual((info["deaths_by_cause"]["task"], info["records_poisoned"]), ("1", "0"))
        self.assertIn("in a task of its own", info["last_error"])

    def test_a_task_that_never_ends_is_found_without_a_batch_too(self):
        self.drop_tasks()
        self.produce("runner", "loop")
        wait_for(lambda: self.info("runner")["deaths_by_cause"]["task"] == "1", "its end")
        self.assertRegex(self.info("runner")["last_error"], "did not end a task in 5000 ms|more CPU than its share")

    def test_a_task_that_crashes_costs_no_record(self):
        self.drop_tasks()
        for i in range(3):
            self.produce("runner", "crash", f"r{i}")
            wait_for(lambda n=i: int(self.info("runner")["deaths_by_cause"]["task"]) == n + 1, "its end")
        self.assertEqual(self.wait_values("runner.out", 6), ["crash", "r0", "crash", "r1", "crash", "r2"])
        self.assertEqual(self.info("runner")["records_poisoned"], "0")

    def test_a_worker_that_says_so_of_a_batch_is_believed_once_for_each(self):
        os.environ["C_INCLUDE_PATH"] = os.path.join(SOURCE, "sandbox", "include")
        self.addCleanup(os.environ.pop, "C_INCLUDE_PATH")
        self.drop_c("runner", LIE_EACH, top=LIE + "static uint32_t batches;")
        self.produce("runner", "lie", "good")
        self.assertEqual(self.wait_values("runner.out", 1), ["good"])
        wait_for(lambda: self.info("runner")["records_poisoned"] == "1", f"the dead letter: {self.info('runner')}")
        self.assertGreaterEqual(int(self.info("runner")["deaths_by_cause"]["task"]), 2)


if __name__ == "__main__":
    unittest.main()
