/* rehearsal_filter.c: filters that are made up (<sluice/filter.h>): each is opened at once, later,
 * or refused; what is judged passes or not as it is drawn, or fails. */
#include "rehearsal_frontend.h"

#include <string.h>

#define REASON "made up"

static struct stage *of_filters(const struct sluice_filter_host *host)
{
    return host->data;
}

static struct sluice_text reason_text(void)
{
    return (struct sluice_text){REASON, sizeof(REASON) - 1};
}

/* NULL: it is none, which is a fault. */
static struct stage_filter *find_filter(struct stage *stage, const struct sluice_filter *filter)
{
    for (uint32_t i = 0; i < STAGE_FILTERS_MAX; i++) {
        if ((const void *)&stage->filters[i] == (const void *)filter && stage->filters[i].open) {
            return &stage->filters[i];
        }
    }
    stage_fault(stage, "uses a filter that is not open");
    return NULL;
}

static sluice_status on_open(const struct sluice_filter_host *host,
                             const struct sluice_context *context, struct sluice_text text,
                             sluice_filter_opened *opened, void *arg,
                             struct sluice_filter **ret_filter, struct sluice_text *ret_reason)
{
    struct stage *stage = of_filters(host);
    struct stage_filter *filter = NULL;

    if (context == NULL || context->principal.size == 0) {
        stage_fault(stage, "opens a filter for nobody");
    }

    for (uint32_t i = 0; i < STAGE_FILTERS_MAX; i++) {
        filter = filter == NULL && !stage->filters[i].open ? &stage->filters[i] : filter;
    }
    if (!stage_may(stage, "open of a filter") || filter == NULL || stage_draw(stage, 8) == 0 ||
        text.size > SLUICE_FILTER_TEXT_BYTES_MAX) {
        *ret_reason = reason_text();
        return SLUICE_E_LIMIT;
    }
    *filter = (struct stage_filter){.open = true, .opened = opened, .arg = arg};
    *ret_filter = (struct sluice_filter *)(void *)filter;
    if (opened != NULL && stage_draw(stage, 3) == 0) {
        filter->opened = NULL;
        opened(arg, SLUICE_OK, (struct sluice_text){"", 0});
    }
    return SLUICE_OK;
}

static sluice_status on_add(const struct sluice_filter_host *host, struct sluice_filter *filter,
                            const struct sluice_record *record)
{
    struct stage *stage = of_filters(host);
    struct stage_filter *slot = find_filter(stage, filter);

    if (slot == NULL || !stage_may(stage, "add to a filter")) {
        return SLUICE_E_INVALID;
    }
    if (slot->judged != NULL || slot->opened != NULL) {
        stage_fault(stage, "adds a record to a filter that %s",
                    slot->judged != NULL ? "judges" : "is not open yet");
    }
    if (slot->added > 0 && record->offset <= slot->last_offset) {
        stage_fault(stage, "adds records whose offsets do not rise");
    }
    slot->last_offset = record->offset;
    if (slot->added == SLUICE_FILTER_RECORDS_MAX) {
        return SLUICE_E_LIMIT;
    }
    slot->added++;
    return SLUICE_OK;
}

static sluice_status on_judge(const struct sluice_filter_host *host, struct sluice_filter *filter,
                              struct sluice_text topic, int32_t partition,
                              sluice_filter_judged *judged, void *arg,
                              struct sluice_text *ret_reason)
{
    struct stage *stage = of_filters(host);
    struct stage_filter *slot = find_filter(stage, filter);

    if (slot == NULL || !stage_may(stage, "judge of a filter")) {
        return SLUICE_E_INVALID;
    }
    if (slot->judged != NULL || slot->added == 0 || topic.size == 0 || partition < 0) {
        stage_fault(stage, "has nothing judged, or twice at once");
    }
    *ret_reason = reason_text();
    if (slot->failed || stage_draw(stage, 8) == 0) {
        slot->added = 0;
        return SLUICE_E_PLUGIN_ERROR;
    }
    slot->judged = judged;
    slot->arg = arg;
    return SLUICE_OK;
}

static void on_close(const struct sluice_filter_host *host, struct sluice_filter *filter)
{
    struct stage_filter *slot = find_filter(of_filters(host), filter);

    if (slot != NULL) {
        *slot = (struct stage_filter){.open = false};
    }
}

void stage_filters_init(struct stage *stage)
{
    memset(stage->filters, 0, sizeof(stage->filters));
    stage->filter_host = (struct sluice_filter_host){.size = sizeof(stage->filter_host),
                                                     .data = stage,
                                                     .open = on_open,
                                                     .add = on_add,
                                                     .judge = on_judge,
                                                     .close = on_close};
}

uint32_t stage_filters_open(const struct stage *stage)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < STAGE_FILTERS_MAX; i++) {
        count += stage->filters[i].open;
    }
    return count;
}

static bool waits(const struct stage_filter *filter)
{
    return filter->open && (filter->opened != NULL || filter->judged != NULL);
}

/* Of the first that somebody waits for; STAGE_FILTERS_MAX: none. */
static uint32_t find_waiting(const struct stage *stage)
{
    uint32_t at = 0;

    while (at < STAGE_FILTERS_MAX && !waits(&stage->filters[at])) {
        at++;
    }
    return at;
}

bool stage_filter_waits(const struct stage *stage)
{
    return find_waiting(stage) < STAGE_FILTERS_MAX;
}

void stage_filter_end(struct stage *stage)
{
    struct stage_filter *filter = &stage->filters[find_waiting(stage) % STAGE_FILTERS_MAX];
    sluice_filter_opened *opened = filter->opened;
    sluice_filter_judged *judged = filter->judged;
    const uint32_t count = filter->added;
    const bool fails = stage_draw(stage, 4) == 0;
    uint8_t passes[SLUICE_FILTER_RECORDS_MAX / 8];
    uint8_t raised[SLUICE_FILTER_RECORDS_MAX / 8];

    filter->opened = NULL;
    if (opened != NULL) {
        opened(filter->arg, fails ? SLUICE_E_PLUGIN_LOAD : SLUICE_OK, reason_text());
        return;
    }
    for (uint32_t i = 0; i < sizeof(passes); i++) {
        passes[i] = (uint8_t)stage_draw(stage, 256);
        raised[i] = (uint8_t)(stage_draw(stage, 256) & ~passes[i]);
    }
    filter->judged = NULL;
    filter->added = 0;
    filter->failed = fails;
    judged(filter->arg, fails ? SLUICE_E_PLUGIN_ERROR : SLUICE_OK, reason_text(), passes, raised,
           fails ? 0 : count);
}
