/* fake_worker.h: a port whose worker is a function of the record's value, for tests of stages and
 * gates. Values are numbers in decimal. */
#ifndef TESTS_FAKE_WORKER_H
#define TESTS_FAKE_WORKER_H

#include "stage/worker_port.h"

#include "os/os.h"

enum fate {
    FATE_PASS,
    FATE_DROP,
    FATE_SPLIT,  /* two records for topic "other" */
    FATE_CHANGE, /* value + "!" */
    FATE_REJECT,
    FATE_POISON, /* the worker dies of any batch that holds it */
    FATE_RETRY,  /* every other time that it is seen */
};
typedef enum fate fate_fn(int id);
/* What a worker that dies says it was at. */
enum fake_word {
    WORD_NONE,
    WORD_TRUE,
    WORD_FALSE, /* another record of the batch, by turns */
};

struct fake_worker {
    struct worker_port port;
    struct sl_loop *loop;
    struct sl_task task;
    struct sl_list queue;
    fate_fn *fate;
    bool aged; /* it had a call and lives */
    bool dead; /* urgent calls: E_BUSY; others wait */
    uint32_t calls, deaths;
    uint32_t largest; /* records of a call */
    uint32_t retries;
    enum fake_word word;
    uint32_t lies;
};

void fake_worker_init(struct fake_worker *worker, struct sl_loop *loop, fate_fn *fate);
void fake_worker_revive(struct fake_worker *worker);

#endif
