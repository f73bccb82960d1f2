/* share_window.c: see share_window.h. Everything is written on one step: lay a range over what is
 * there (lay), which splits what it covers in part and joins what is alike. A step needs room for
 * two more ranges; who does several of them makes room for all before the first, so that a call
 * happens whole or not at all. */
#include "deliver/share_window.h"

#include <string.h>

#define KEPT_MAX 64u /* ranges for which an empty window keeps room */

void share_window_init(struct share_window *window, int64_t start)
{
    *window = (struct share_window){.start = start, .due_ms = SHARE_NEVER};
}

void share_window_fini(struct share_window *window)
{
    sl_free(window->ranges);
    *window = (struct share_window){.due_ms = SHARE_NEVER};
}

int64_t share_window_end(const struct share_window *window)
{
    return window->count > 0 ? window->ranges[window->count - 1].last + 1 : window->start;
}

/* The first range that ends at or behind the offset; count: none. */
static uint32_t find(const struct share_window *window, int64_t offset)
{
    uint32_t low = 0, high = window->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (window->ranges[middle].last < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct share_range share_window_run(const struct share_window *window, int64_t offset, int64_t last)
{
    SL_ASSERT(offset >= window->start && offset <= last);
    uint32_t at = find(window, offset);
    struct share_range run = {.first = offset, .last = last};
    if (at < window->count && window->ranges[at].first <= offset) {
        run = window->ranges[at];
        run.first = offset;
        run.last = SL_MIN(run.last, last);
    } else if (at < window->count) {
        run.last = SL_MIN(last, window->ranges[at].first - 1);
    }
    return run;
}

/* ---- the one step ---- */

static sl_err make_room(struct share_window *window, uint64_t more)
{
    uint64_t need = window->count + more;
    if (need <= window->capacity) {
        return SLUICE_OK;
    }
    uint64_t capacity = SL_MAX(need, (uint64_t)window->capacity * 2);
    if (capacity > UINT32_MAX) {
        return SLUICE_E_LIMIT;
    }
    struct share_range *grown =
        sl_realloc(window->ranges, (size_t)capacity * sizeof(*window->ranges));
    if (grown == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    window->ranges = grown;
    window->capacity = (uint32_t)capacity;
    return SLUICE_OK;
}

static bool is_default(const struct share_range *range)
{
    return range->state == SHARE_AVAILABLE && range->deliveries == 0 && range->at_ms == 0;
}

static bool is_alike(const struct share_range *a, const struct share_range *b)
{
    return a->last + 1 == b->first && a->state == b->state && a->deliveries == b->deliveries &&
           a->owner == b->owner && a->at_ms == b->at_ms && a->reason == b->reason;
}

static uint32_t length_of(const struct share_range *range)
{
    return (uint32_t)(range->last - range->first + 1);
}

static void count_range(struct share_window *window, const struct share_range *range, bool comes)
{
    uint32_t by = comes ? length_of(range) : 0u - length_of(range);
    window->in_flight += range->state == SHARE_GAP ? 0 : by;
    window->acquired += range->state == SHARE_ACQUIRED ? by : 0;
    window->doomed += range->state == SHARE_DOOMED ? by : 0;
    int64_t length = range->last - range->first + 1;
    window->finals += !share_state_is_final(range->state) ? 0 : comes ? length : -length;
}

/* Puts `count` pieces where `old` ranges were. */
static void splice(struct share_window *window, uint32_t at, uint32_t old,
                   const struct share_range *pieces, uint32_t count)
{
    SL_ASSERT(window->count - old + count <= window->capacity);
    for (uint32_t i = 0; i < old; i++) {
        count_range(window, &window->ranges[at + i], false);
    }
    if (window->count > at + old) {
        memmove(window->ranges + at + count, window->ranges + at + old,
                (window->count - at - old) * sizeof(*pieces));
    }
    for (uint32_t i = 0; i < count; i++) {
        window->ranges[at + i] = pieces[i];
        count_range(window, &pieces[i], true);
    }
    window->count = window->count - old + count;
}

/* Joins the range at `at` with the one before it. */
static bool join(struct share_window *window, uint32_t at)
{
    if (at == 0 || at >= window->count || !is_alike(&window->ranges[at - 1], &window->ranges[at])) {
        return false;
    }
    window->ranges[at - 1].last = window->ranges[at].last;
    memmove(window->ranges + at, window->ranges + at + 1,
            (window->count - at - 1) * sizeof(*window->ranges));
    window->count--;
    return true;
}

/* There is room for two more ranges. */
static void lay(struct share_window *window, const struct share_range *range)
{
    SL_ASSERT(range->first <= range->last && range->first >= window->start);
    uint32_t at = find(window, range->first);
    uint32_t end = at;
    struct share_range pieces[3];
    uint32_t count = 0;
    while (end < window->count && window->ranges[end].first <= range->last) {
        end++;
    }
    if (end > at && window->ranges[at].first < range->first) {
        pieces[count] = window->ranges[at];
        pieces[count++].last = range->first - 1;
    }
    uint32_t middle = count;
    if (!is_default(range)) {
        pieces[count++] = *range;
    }
    if (end > at && window->ranges[end - 1].last > range->last) {
        pieces[count] = window->ranges[end - 1];
        pieces[count++].first = range->last + 1;
    }
    splice(window, at, end - at, pieces, count);
    if (!is_default(range)) {
        bool joined = join(window, at + middle);
        (void)join(window, at + middle + (joined ? 0 : 1));
    }
    bool waits = range->state == SHARE_ACQUIRED || range->state == SHARE_AVAILABLE;
    if (waits && range->at_ms > 0) {
        window->due_ms = SL_MIN(window->due_ms, range->at_ms);
    }
}

/* What is final at the start is behind it from now on. */
static void advance(struct share_window *window)
{
    uint32_t gone = 0;
    while (gone < window->count && window->ranges[gone].first == window->start &&
           share_state_is_final(window->ranges[gone].state)) {
        window->start = window->ranges[gone++].last + 1;
    }
    if (gone > 0) {
        splice(window, 0, gone, NULL, 0);
    }
    if (window->count == 0 && window->capacity > KEPT_MAX) {
        sl_free(window->ranges);
        window->ranges = NULL;
        window->capacity = 0;
    }
}

/* ---- delivering ---- */

int64_t share_window_next(const struct share_window *window, int64_t now_ms,
                          uint32_t deliveries_max, uint32_t in_flight_max)
{
    bool is_full = window->in_flight >= SL_MIN(in_flight_max, SHARE_IN_FLIGHT_MAX);
    int64_t offset = window->start;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct share_range *range = &window->ranges[i];
        if (range->first > offset && !is_full) {
            return offset;
        }
        if (range->state == SHARE_AVAILABLE && range->deliveries < deliveries_max &&
            range->at_ms <= now_ms) {
            return range->first;
        }
        offset = range->last + 1;
    }
    return is_full ? SHARE_NEVER : offset;
}

/* How much of an available run may be taken. */
static int64_t may_take(const struct share_window *window, const struct share_ask *ask,
                        const struct share_range *run, int64_t taken)
{
    int64_t length = run->last - run->first + 1;
    int64_t in_flight_max = (int64_t)SL_MIN(ask->in_flight_max, SHARE_IN_FLIGHT_MAX);
    if (run->state != SHARE_AVAILABLE || run->at_ms > ask->now_ms ||
        run->deliveries >= ask->deliveries_max) {
        return 0;
    }
    if (is_default(run)) {
        length = SL_MIN(length, SL_MAX(in_flight_max - (int64_t)window->in_flight, (int64_t)0));
    }
    return SL_MIN(length, (int64_t)ask->records_max - taken);
}

/* Adds to what was taken. False: there is no room to tell it. */
static bool note(struct share_range *ranges, uint32_t ranges_max, uint32_t *count,
                 const struct share_range *range)
{
    struct share_range *before = *count > 0 ? &ranges[*count - 1] : NULL;
    if (before != NULL && is_alike(before, range)) {
        before->last = range->last;
        return true;
    }
    if (*count == ranges_max) {
        return false;
    }
    ranges[(*count)++] = *range;
    return true;
}

int64_t share_window_acquire(struct share_window *window, const struct share_ask *ask,
                             int64_t first, int64_t last, struct share_range *ret_ranges,
                             uint32_t ranges_max, uint32_t *ret_count)
{
    SL_ASSERT(ask->owner != 0);
    int64_t taken = 0;
    *ret_count = 0;
    sl_err err = make_room(window, 2 * ((uint64_t)ranges_max + window->count + 1));
    if (err != SLUICE_OK) {
        return -(int64_t)SLUICE_E_NO_MEMORY;
    }
    for (int64_t offset = SL_MAX(first, window->start); offset <= last;) {
        struct share_range run = share_window_run(window, offset, last);
        int64_t length = may_take(window, ask, &run, taken);
        offset = run.last + 1;
        if (length <= 0) {
            continue;
        }
        struct share_range acquired = {.first = run.first,
                                       .last = run.first + length - 1,
                                       .at_ms = ask->until_ms,
                                       .owner = ask->owner,
                                       .deliveries = (uint16_t)(run.deliveries + 1),
                                       .state = SHARE_ACQUIRED};
        if (!note(ret_ranges, ranges_max, ret_count, &acquired)) {
            break;
        }
        lay(window, &acquired);
        taken += length;
    }
    return taken;
}

sl_err share_window_skip(struct share_window *window, int64_t first, int64_t last)
{
    sl_err err = make_room(window, 2 * ((uint64_t)window->count + 2));
    if (err != SLUICE_OK) {
        return err;
    }
    for (int64_t offset = SL_MAX(first, window->start); offset <= last;) {
        struct share_range run = share_window_run(window, offset, last);
        offset = run.last + 1;
        if (run.state == SHARE_AVAILABLE) {
            const struct share_range gap = {
                .first = run.first, .last = run.last, .state = SHARE_GAP};
            lay(window, &gap);
        }
    }
    advance(window);
    return SLUICE_OK;
}

/* ---- what becomes of a delivery ---- */

static bool is_sensible(const struct share_ack *ack)
{
    bool counts = ack->first >= 0 && ack->first <= ack->last && ack->type_count > 0 &&
                  (ack->type_count == 1 || ack->type_count == ack->last - ack->first + 1);
    for (uint32_t i = 0; counts && i < ack->type_count; i++) {
        counts = ack->types[i] >= SHARE_ACK_GAP && ack->types[i] <= SHARE_ACK_RENEW;
    }
    return counts;
}

sl_err share_window_check(const struct share_window *window, uint64_t owner,
                          const struct share_ack *ack)
{
    if (!is_sensible(ack)) {
        return SLUICE_E_INVALID_REQUEST;
    }
    if (ack->last < window->start) {
        return SLUICE_E_INVALID_RECORD_STATE;
    }
    for (int64_t offset = SL_MAX(ack->first, window->start); offset <= ack->last;) {
        struct share_range run = share_window_run(window, offset, ack->last);
        if (run.state != SHARE_ACQUIRED || run.owner != owner) {
            return SLUICE_E_INVALID_RECORD_STATE;
        }
        offset = run.last + 1;
    }
    return SLUICE_OK;
}

/* An acquired run is not wanted any more, for whatever reason but success. */
static struct share_range ended(const struct share_range *run, const struct share_rules *rules,
                                bool rejected, int64_t now_ms)
{
    struct share_range range = {
        .first = run->first, .last = run->last, .deliveries = run->deliveries};
    if (rejected || run->deliveries >= rules->deliveries_max) {
        range.state = rules->dead_letters ? SHARE_DOOMED : SHARE_ARCHIVED;
        range.reason = !rules->dead_letters ? SHARE_NO_REASON
                       : rejected           ? SHARE_REJECTED
                                            : SHARE_DELIVERED_TOO_OFTEN;
    } else {
        range.state = SHARE_AVAILABLE;
        range.at_ms = rules->delay_ms > 0 ? now_ms + rules->delay_ms : 0;
    }
    return range;
}

static void note_archived(struct share_window *window, const struct share_range *range)
{
    window->archived += range->state == SHARE_ARCHIVED ? length_of(range) : 0;
}

static void acknowledge_run(struct share_window *window, const struct share_range *run, int8_t type,
                            const struct share_rules *rules, int64_t now_ms, int64_t renew_ms)
{
    struct share_range range = *run;
    switch (type) {
    case SHARE_ACK_RENEW:
        range.at_ms = renew_ms;
        break;
    case SHARE_ACK_RELEASE:
    case SHARE_ACK_REJECT:
        range = ended(run, rules, type == SHARE_ACK_REJECT, now_ms);
        note_archived(window, &range);
        break;
    default:
        range.state = type == SHARE_ACK_GAP ? SHARE_ARCHIVED : SHARE_ACKNOWLEDGED;
        range.at_ms = 0;
        range.owner = 0;
        break;
    }
    lay(window, &range);
}

sl_err share_window_acknowledge(struct share_window *window, const struct share_ack *ack,
                                const struct share_rules *rules, int64_t now_ms, int64_t renew_ms)
{
    uint64_t steps = (uint64_t)window->count + 1;
    for (uint32_t i = 1; i < ack->type_count; i++) {
        steps += ack->types[i] != ack->types[i - 1];
    }
    sl_err err = make_room(window, 2 * (steps + 1));
    if (err != SLUICE_OK) {
        return err;
    }
    for (int64_t offset = SL_MAX(ack->first, window->start); offset <= ack->last;) {
        int8_t type = ack->types[ack->type_count == 1 ? 0 : offset - ack->first];
        int64_t last = ack->type_count == 1 ? ack->last : offset;
        while (last < ack->last && ack->types[last + 1 - ack->first] == type) {
            last++;
        }
        struct share_range run = share_window_run(window, offset, last);
        SL_ASSERT(run.state == SHARE_ACQUIRED);
        acknowledge_run(window, &run, type, rules, now_ms, renew_ms);
        offset = run.last + 1;
    }
    advance(window);
    return SLUICE_OK;
}

/* Lays `to` over range `at`, which it covers whole; returns where to go on: it may have been joined
 * with the one before it. Needs no room. */
static uint32_t replace(struct share_window *window, uint32_t at, const struct share_range *to)
{
    int64_t next = to->last + 1;
    if (is_default(to)) {
        splice(window, at, 1, NULL, 0);
    } else {
        splice(window, at, 1, to, 1);
        (void)join(window, at + 1);
        (void)join(window, at);
    }
    return find(window, next);
}

uint32_t share_window_expire(struct share_window *window, const struct share_rules *rules,
                             int64_t now_ms, share_changed_fn *changed, void *arg)
{
    uint32_t total = 0;
    int64_t due_ms = SHARE_NEVER;
    if (now_ms < window->due_ms) {
        return 0;
    }
    for (uint32_t i = 0; i < window->count;) {
        struct share_range range = window->ranges[i];
        bool waits = range.at_ms > 0;
        if (!waits || range.at_ms > now_ms) {
            due_ms = waits ? SL_MIN(due_ms, range.at_ms) : due_ms;
            i++;
            continue;
        }
        struct share_range to = range;
        to.at_ms = 0;
        if (range.state == SHARE_ACQUIRED) {
            to = ended(&range, &(struct share_rules){rules->deliveries_max, rules->dead_letters, 0},
                       false, now_ms);
            total += length_of(&range);
            note_archived(window, &to);
            changed(arg, range.first, range.last);
        }
        i = replace(window, i, &to);
    }
    window->due_ms = due_ms;
    advance(window);
    return total;
}

uint32_t share_window_abandon(struct share_window *window, uint64_t owner,
                              share_changed_fn *changed, void *arg)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < window->count;) {
        struct share_range range = window->ranges[i];
        if (range.state != SHARE_ACQUIRED || range.owner != owner) {
            i++;
            continue;
        }
        struct share_range to = {.first = range.first,
                                 .last = range.last,
                                 .deliveries = (uint16_t)(range.deliveries - 1),
                                 .state = SHARE_AVAILABLE};
        total += length_of(&range);
        changed(arg, range.first, range.last);
        i = replace(window, i, &to);
    }
    return total;
}

uint32_t share_window_condemn(struct share_window *window, const struct share_rules *rules,
                              share_changed_fn *changed, void *arg)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < window->count;) {
        struct share_range range = window->ranges[i];
        if (range.state != SHARE_AVAILABLE || range.deliveries < rules->deliveries_max ||
            range.deliveries == 0) {
            i++;
            continue;
        }
        struct share_range to = ended(&range, rules, false, 0);
        note_archived(window, &to);
        total += length_of(&range);
        changed(arg, range.first, range.last);
        i = replace(window, i, &to);
    }
    advance(window);
    return total;
}

bool share_window_doomed(const struct share_window *window, int64_t offset,
                         struct share_range *ret_range)
{
    for (uint32_t i = find(window, offset); window->doomed > 0 && i < window->count; i++) {
        if (window->ranges[i].state == SHARE_DOOMED) {
            *ret_range = window->ranges[i];
            ret_range->first = SL_MAX(ret_range->first, offset);
            return true;
        }
    }
    return false;
}

sl_err share_window_bury(struct share_window *window, int64_t first, int64_t last)
{
    sl_err err = make_room(window, 2 * ((uint64_t)window->count + 1));
    if (err != SLUICE_OK) {
        return err;
    }
    for (int64_t offset = SL_MAX(first, window->start); offset <= last;) {
        struct share_range run = share_window_run(window, offset, last);
        offset = run.last + 1;
        if (run.state == SHARE_DOOMED) {
            run.state = SHARE_ARCHIVED;
            run.reason = SHARE_NO_REASON;
            lay(window, &run);
        }
    }
    advance(window);
    return SLUICE_OK;
}

/* ---- the start ---- */

void share_window_raise(struct share_window *window, int64_t start)
{
    if (start <= window->start) {
        return;
    }
    uint32_t at = find(window, start);
    splice(window, 0, at, NULL, 0);
    if (window->count > 0 && window->ranges[0].first < start) {
        struct share_range cut = window->ranges[0];
        cut.first = start;
        splice(window, 0, 1, &cut, 1);
    }
    window->start = start;
    advance(window);
}

void share_window_reset(struct share_window *window, int64_t start)
{
    splice(window, 0, window->count, NULL, 0);
    window->start = start;
    window->due_ms = SHARE_NEVER;
}

/* ---- on disk ---- */

void share_window_describe(const struct share_window *window, int64_t first, int64_t last,
                           void (*visit)(void *arg, const struct share_range *range), void *arg)
{
    for (uint32_t i = find(window, first); i < window->count && window->ranges[i].first <= last;
         i++) {
        struct share_range range = window->ranges[i];
        range.first = SL_MAX(range.first, first);
        range.last = SL_MIN(range.last, last);
        range.at_ms = 0;
        range.owner = 0;
        if (range.state == SHARE_ACQUIRED) {
            range.deliveries--;
            range.state = SHARE_AVAILABLE;
        }
        if (range.state != SHARE_GAP && !is_default(&range)) {
            visit(arg, &range);
        }
    }
}

sl_err share_window_restore(struct share_window *window, const struct share_range *range)
{
    struct share_range clipped = *range;
    clipped.first = SL_MAX(range->first, window->start);
    if (clipped.first > clipped.last) {
        return SLUICE_OK;
    }
    sl_err err = make_room(window, 2);
    if (err == SLUICE_OK) {
        lay(window, &clipped);
        advance(window);
    }
    return err;
}

void share_window_verify(const struct share_window *window)
{
    uint64_t in_flight = 0, acquired = 0, doomed = 0;
    int64_t finals = 0;
    int64_t before = window->start - 1;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct share_range *range = &window->ranges[i];
        SL_ASSERT(range->first > before && range->last >= range->first && !is_default(range));
        SL_ASSERT((range->state == SHARE_ACQUIRED) == (range->owner != 0));
        SL_ASSERT(range->state != SHARE_ACQUIRED || window->due_ms <= range->at_ms);
        SL_ASSERT((range->state == SHARE_DOOMED) == (range->reason != SHARE_NO_REASON));
        SL_ASSERT(i == 0 || !is_alike(range - 1, range));
        before = range->last;
        in_flight += range->state == SHARE_GAP ? 0 : length_of(range);
        acquired += range->state == SHARE_ACQUIRED ? length_of(range) : 0;
        doomed += range->state == SHARE_DOOMED ? length_of(range) : 0;
        finals += share_state_is_final(range->state) ? range->last - range->first + 1 : 0;
    }
    SL_ASSERT(window->count == 0 || window->ranges[0].first > window->start ||
              !share_state_is_final(window->ranges[0].state));
    SL_ASSERT(in_flight == window->in_flight && acquired == window->acquired &&
              doomed == window->doomed && finals == window->finals);
}
