/* name_pattern.c: see name_pattern.h. A recursive descent over the expression writes the program;
 * an atom that may occur several times is written as often. */
#include "tls/name_pattern.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32u /* of nested groups */
#define SETS_MAX  64u
#define NO_LIMIT  UINT32_MAX

enum step_kind {
    STEP_BYTE,  /* x: the byte */
    STEP_SET,   /* x: of sets */
    STEP_SPLIT, /* x first, then y */
    STEP_JUMP,  /* x */
    STEP_SAVE,  /* x: twice the group, and one at its end */
    STEP_BEGIN,
    STEP_END,
    STEP_MATCH,
};

struct step {
    enum step_kind kind;
    uint32_t x, y;
};

struct byte_set {
    uint64_t bits[4];
};

struct name_pattern {
    uint32_t step_count, set_count, group_count;
    struct step steps[NAME_PATTERN_STEPS_MAX];
    struct byte_set sets[SETS_MAX];
};

/* ---- from expression to program ---- */

struct parser {
    struct name_pattern *pattern;
    const char *at, *end;
    uint32_t depth;
    char *why;
};

static sl_err refuse(struct parser *parser, const char *why)
{
    snprintf(parser->why, NAME_PATTERN_WHY_BYTES, "%s", why);
    return SLUICE_E_CONFIG_VALUE;
}

static sl_err emit(struct parser *parser, enum step_kind kind, uint32_t x, uint32_t y)
{
    struct name_pattern *pattern = parser->pattern;
    if (pattern->step_count == NAME_PATTERN_STEPS_MAX) {
        return refuse(parser, "is too long, or repeats too much");
    }
    pattern->steps[pattern->step_count++] = (struct step){kind, x, y};
    return SLUICE_OK;
}

static bool next_is(const struct parser *parser, char c)
{
    return parser->at < parser->end && *parser->at == c;
}

static bool take(struct parser *parser, char c)
{
    bool is = next_is(parser, c);
    parser->at += is;
    return is;
}

static void set_range(struct byte_set *set, uint8_t first, uint8_t last)
{
    for (uint32_t c = first; c <= last; c++) {
        set->bits[c >> 6] |= UINT64_C(1) << (c & 63);
    }
}

static void set_invert(struct byte_set *set)
{
    for (size_t i = 0; i < SL_COUNT_OF(set->bits); i++) {
        set->bits[i] = ~set->bits[i];
    }
}

static bool set_has(const struct byte_set *set, uint8_t c)
{
    return (set->bits[c >> 6] >> (c & 63) & 1) != 0;
}

/* \d and its like; false: the letter is none of them. */
static bool set_of_letter(char letter, struct byte_set *ret_set)
{
    struct byte_set set = {{0}};
    switch (letter | 32) {
    case 'd':
        set_range(&set, '0', '9');
        break;
    case 'w':
        set_range(&set, '0', '9');
        set_range(&set, 'A', 'Z');
        set_range(&set, 'a', 'z');
        set_range(&set, '_', '_');
        break;
    case 's':
        set_range(&set, '\t', '\r');
        set_range(&set, ' ', ' ');
        break;
    default:
        return false;
    }
    if ((letter & 32) == 0) {
        set_invert(&set);
    }
    *ret_set = set;
    return true;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static sl_err emit_set(struct parser *parser, const struct byte_set *set)
{
    struct name_pattern *pattern = parser->pattern;
    uint32_t at = 0;
    while (at < pattern->set_count && memcmp(&pattern->sets[at], set, sizeof(*set)) != 0) {
        at++;
    }
    if (at == SETS_MAX) {
        return refuse(parser, "has too many classes");
    }
    pattern->sets[at] = *set;
    pattern->set_count = SL_MAX(pattern->set_count, at + 1);
    return emit(parser, STEP_SET, at, 0);
}

/* Behind a backslash: a class, or (*ret_byte) one byte. */
static sl_err take_escape(struct parser *parser, struct byte_set *ret_set, int *ret_byte)
{
    char c = parser->at < parser->end ? *parser->at++ : '\0';
    *ret_byte = -1;
    if (set_of_letter(c, ret_set)) {
        return SLUICE_OK;
    }
    if (c == '\0' || (is_word(c) && c != 't')) {
        return refuse(parser, "has a \\ before what it has no meaning for here");
    }
    *ret_byte = (uint8_t)(c == 't' ? '\t' : c);
    return SLUICE_OK;
}

/* One member of [ ]: a byte, or a class that went into the set. */
static sl_err take_member(struct parser *parser, struct byte_set *set, int *ret_byte)
{
    struct byte_set class;
    *ret_byte = (uint8_t)*parser->at++;
    if (*ret_byte == '[' || *ret_byte == '&') {
        return refuse(parser, "has [ or & within [ ]: say \\[ or \\&");
    }
    if (*ret_byte != '\\') {
        return SLUICE_OK;
    }
    sl_err err = take_escape(parser, &class, ret_byte);
    if (err == SLUICE_OK && *ret_byte < 0) {
        for (size_t i = 0; i < SL_COUNT_OF(set->bits); i++) {
            set->bits[i] |= class.bits[i];
        }
    }
    return err;
}

static sl_err take_class(struct parser *parser)
{
    struct byte_set set = {{0}};
    bool inverted = take(parser, '^');
    bool any = false;
    while (parser->at < parser->end && (*parser->at != ']' || !any)) {
        int first = 0;
        int last = 0;
        sl_err err = take_member(parser, &set, &first);
        last = first;
        if (err == SLUICE_OK && first >= 0 && next_is(parser, '-') &&
            parser->at + 1 < parser->end && parser->at[1] != ']') {
            parser->at++;
            err = take_member(parser, &set, &last);
        }
        if (err != SLUICE_OK) {
            return err;
        }
        if (last < first || (first >= 0 && last < 0)) {
            return refuse(parser, "has a range within [ ] that ends before it begins");
        }
        if (first >= 0) {
            set_range(&set, (uint8_t)first, (uint8_t)last);
        }
        any = true;
    }
    if (!take(parser, ']')) {
        return refuse(parser, "has a [ without ]");
    }
    if (inverted) {
        set_invert(&set);
    }
    return emit_set(parser, &set);
}

static sl_err take_choice(struct parser *parser);

static sl_err take_group(struct parser *parser)
{
    bool counted = true;
    uint32_t group = 0;
    if (take(parser, '?')) {
        if (!take(parser, ':')) {
            return refuse(parser, "has a (? that is not (?:");
        }
        counted = false;
    }
    if (counted) {
        group = ++parser->pattern->group_count;
    }
    if (group >= NAME_PATTERN_GROUPS_MAX || ++parser->depth > DEPTH_MAX) {
        return refuse(parser, "has too many groups");
    }
    sl_err err = counted ? emit(parser, STEP_SAVE, 2 * group, 0) : SLUICE_OK;
    err = err != SLUICE_OK ? err : take_choice(parser);
    if (err == SLUICE_OK && !take(parser, ')')) {
        err = refuse(parser, "has a ( without )");
    }
    parser->depth--;
    return err != SLUICE_OK ? err : counted ? emit(parser, STEP_SAVE, 2 * group + 1, 0) : SLUICE_OK;
}

static sl_err take_atom(struct parser *parser)
{
    struct byte_set set = {{0}};
    int byte = 0;
    char c = *parser->at++;
    sl_err err;
    switch (c) {
    case '(':
        return take_group(parser);
    case '[':
        return take_class(parser);
    case '.':
        set_range(&set, '\n', '\n');
        set_range(&set, '\r', '\r');
        set_invert(&set);
        return emit_set(parser, &set);
    case '^':
        return emit(parser, STEP_BEGIN, 0, 0);
    case '$':
        return emit(parser, STEP_END, 0, 0);
    case '\\':
        err = take_escape(parser, &set, &byte);
        return err != SLUICE_OK ? err
               : byte < 0       ? emit_set(parser, &set)
                                : emit(parser, STEP_BYTE, (uint32_t)byte, 0);
    case '*':
    case '+':
    case '?':
    case '{':
        return refuse(parser, "repeats nothing");
    default:
        return emit(parser, STEP_BYTE, (uint8_t)c, 0);
    }
}

static bool take_number(struct parser *parser, uint32_t *ret_number)
{
    uint32_t number = 0;
    const char *first = parser->at;
    while (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9' &&
           number <= NAME_PATTERN_STEPS_MAX) {
        number = number * 10 + (uint32_t)(*parser->at++ - '0');
    }
    *ret_number = number;
    return parser->at > first;
}

/* How often what stands before may occur. */
static sl_err take_times(struct parser *parser, uint32_t *ret_least, uint32_t *ret_most)
{
    *ret_least = *ret_most = 1;
    if (take(parser, '*')) {
        *ret_least = 0;
        *ret_most = NO_LIMIT;
    } else if (take(parser, '+')) {
        *ret_most = NO_LIMIT;
    } else if (take(parser, '?')) {
        *ret_least = 0;
    } else if (take(parser, '{')) {
        bool ok = take_number(parser, ret_least);
        *ret_most = *ret_least;
        if (ok && take(parser, ',') && !take_number(parser, ret_most)) {
            *ret_most = NO_LIMIT;
        }
        if (!ok || !take(parser, '}') || *ret_most < *ret_least || *ret_most == 0) {
            return refuse(parser, "has a { } that is not {n}, {n,} or {n,m}");
        }
    }
    return SLUICE_OK;
}

/* The steps of an atom, taken out, to be written as often as it may occur. */
struct block {
    struct step *steps; /* owned */
    uint32_t first, count;
};

static sl_err take_block(struct parser *parser, uint32_t first, struct block *ret_block)
{
    struct name_pattern *pattern = parser->pattern;
    uint32_t count = pattern->step_count - first;
    struct step *steps = sl_alloc_zero(count + 1u, sizeof(*steps));
    if (steps == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(steps, pattern->steps + first, count * sizeof(*steps));
    pattern->step_count = first;
    *ret_block = (struct block){steps, first, count};
    return SLUICE_OK;
}

static sl_err emit_block(struct parser *parser, const struct block *block)
{
    uint32_t shift = parser->pattern->step_count - block->first;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < block->count && err == SLUICE_OK; i++) {
        struct step step = block->steps[i];
        bool jumps = step.kind == STEP_SPLIT || step.kind == STEP_JUMP;
        err = emit(parser, step.kind, step.x + (jumps ? shift : 0),
                   step.y + (step.kind == STEP_SPLIT ? shift : 0));
    }
    return err;
}

/* The block or not: split L1, L2; L1: block; [jump back;] L2: */
static sl_err emit_optional(struct parser *parser, const struct block *block, bool lazy, bool loop)
{
    struct name_pattern *pattern = parser->pattern;
    uint32_t split = pattern->step_count;
    sl_err err = emit(parser, STEP_SPLIT, split + 1, split + 1);
    err = err != SLUICE_OK ? err : emit_block(parser, block);
    err = err != SLUICE_OK || !loop ? err : emit(parser, STEP_JUMP, split, 0);
    if (err == SLUICE_OK) {
        struct step *step = &pattern->steps[split];
        *(lazy ? &step->x : &step->y) = pattern->step_count;
    }
    return err;
}

static sl_err repeat(struct parser *parser, const struct block *block, uint32_t least,
                     uint32_t most)
{
    bool lazy = take(parser, '?');
    sl_err err = SLUICE_OK;
    if (next_is(parser, '+') || next_is(parser, '*') || next_is(parser, '{')) {
        return refuse(parser, "repeats a repetition");
    }
    for (uint32_t i = 0; i < least && err == SLUICE_OK; i++) {
        err = emit_block(parser, block);
    }
    for (uint32_t i = least; most != NO_LIMIT && i < most && err == SLUICE_OK; i++) {
        err = emit_optional(parser, block, lazy, false);
    }
    return err != SLUICE_OK || most != NO_LIMIT ? err : emit_optional(parser, block, lazy, true);
}

static sl_err take_piece(struct parser *parser)
{
    uint32_t first = parser->pattern->step_count;
    uint32_t least = 0;
    uint32_t most = 0;
    struct block block;
    sl_err err = take_atom(parser);
    err = err != SLUICE_OK ? err : take_times(parser, &least, &most);
    if (err != SLUICE_OK || (least == 1 && most == 1)) {
        return err;
    }
    err = take_block(parser, first, &block);
    if (err == SLUICE_OK) {
        err = repeat(parser, &block, least, most);
        sl_free(block.steps);
    }
    return err;
}

/* Steps from `at` on move one further, for a step before them. */
static sl_err insert_split(struct parser *parser, uint32_t at)
{
    struct name_pattern *pattern = parser->pattern;
    sl_err err = emit(parser, STEP_JUMP, 0, 0);
    if (err != SLUICE_OK) {
        return err;
    }
    for (uint32_t i = pattern->step_count - 1; i > at; i--) {
        struct step *step = &pattern->steps[i];
        *step = pattern->steps[i - 1];
        bool jumps = step->kind == STEP_SPLIT || step->kind == STEP_JUMP;
        step->x += jumps && step->x >= at;
        step->y += step->kind == STEP_SPLIT && step->y >= at;
    }
    pattern->steps[at] = (struct step){STEP_SPLIT, at + 1, 0};
    return SLUICE_OK;
}

static sl_err take_choice(struct parser *parser);

/* What stands behind a |: split L1, L2; L1: (steps from `first` on) jump L3; L2: …; L3: */
static sl_err take_alternative(struct parser *parser, uint32_t first)
{
    struct name_pattern *pattern = parser->pattern;
    sl_err err = insert_split(parser, first);
    uint32_t jump = pattern->step_count;
    err = err != SLUICE_OK ? err : emit(parser, STEP_JUMP, 0, 0);
    if (err != SLUICE_OK) {
        return err;
    }
    pattern->steps[first].y = pattern->step_count;
    if (++parser->depth > DEPTH_MAX) {
        return refuse(parser, "has too many alternatives");
    }
    err = take_choice(parser);
    parser->depth--;
    pattern->steps[jump].x = pattern->step_count;
    return err;
}

static sl_err take_choice(struct parser *parser)
{
    uint32_t first = parser->pattern->step_count;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && parser->at < parser->end && *parser->at != '|' &&
           *parser->at != ')') {
        err = take_piece(parser);
    }
    return err == SLUICE_OK && take(parser, '|') ? take_alternative(parser, first) : err;
}

sl_err name_pattern_new(struct sl_bytes text, struct name_pattern **ret_pattern,
                        char ret_why[NAME_PATTERN_WHY_BYTES])
{
    struct name_pattern *pattern = sl_alloc_zero(1, sizeof(*pattern));
    if (pattern == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    struct parser parser = {pattern, (const char *)text.data, (const char *)text.data + text.size,
                            0, ret_why};
    sl_err err = emit(&parser, STEP_SAVE, 0, 0);
    err = err != SLUICE_OK ? err : take_choice(&parser);
    if (err == SLUICE_OK && parser.at < parser.end) {
        err = refuse(&parser, "has a ) without (");
    }
    err = err != SLUICE_OK ? err : emit(&parser, STEP_SAVE, 1, 0);
    err = err != SLUICE_OK ? err : emit(&parser, STEP_MATCH, 0, 0);
    if (err != SLUICE_OK) {
        sl_free(pattern);
        return err;
    }
    *ret_pattern = pattern;
    return SLUICE_OK;
}

struct name_pattern *name_pattern_free(struct name_pattern *pattern)
{
    sl_free(pattern);
    return NULL;
}

uint32_t name_pattern_groups(const struct name_pattern *pattern)
{
    return pattern->group_count;
}

/* ---- the machine ---- */

/* What is tried when the present way fails: a step at a position, or (slot + 1 > 0) what a group's
 * place was. */
struct choice {
    uint32_t step;
    uint32_t slot; /* 0: a way; else 1 + index in saved */
    size_t value;  /* position, or the old place */
};

struct machine {
    const struct name_pattern *pattern;
    struct sl_bytes text;
    bool whole;
    uint64_t *visited;
    struct choice *choices;
    size_t choice_count, choice_room;
    size_t saved[2 * NAME_PATTERN_GROUPS_MAX];
};

static sl_err push(struct machine *machine, struct choice choice)
{
    if (machine->choice_count == machine->choice_room) {
        size_t room = SL_MAX(machine->choice_room * 2, (size_t)64);
        struct choice *choices = sl_alloc_zero(room, sizeof(*choices));
        if (choices == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        if (machine->choice_count > 0) {
            memcpy(choices, machine->choices, machine->choice_count * sizeof(*choices));
        }
        sl_free(machine->choices);
        machine->choices = choices;
        machine->choice_room = room;
    }
    machine->choices[machine->choice_count++] = choice;
    return SLUICE_OK;
}

static bool visit(struct machine *machine, uint32_t step, size_t position)
{
    size_t bit = step * (machine->text.size + 1) + position;
    bool seen = (machine->visited[bit >> 6] >> (bit & 63) & 1) != 0;
    machine->visited[bit >> 6] |= UINT64_C(1) << (bit & 63);
    return !seen;
}

/* One step; false: this way fails. *step and *position move on. */
static bool walk(struct machine *machine, uint32_t *step, size_t *position, sl_err *ret_err)
{
    const struct step *now = &machine->pattern->steps[*step];
    bool more = *position < machine->text.size;
    uint8_t byte = more ? machine->text.data[*position] : 0;
    switch (now->kind) {
    case STEP_BYTE:
    case STEP_SET:
        *position += 1;
        *step += 1;
        return more && (now->kind == STEP_BYTE ? byte == now->x
                                               : set_has(&machine->pattern->sets[now->x], byte));
    case STEP_SPLIT:
        *ret_err = push(machine, (struct choice){now->y, 0, *position});
        *step = now->x;
        return true;
    case STEP_JUMP:
        *step = now->x;
        return true;
    case STEP_SAVE:
        *ret_err = push(machine, (struct choice){0, now->x + 1, machine->saved[now->x]});
        machine->saved[now->x] = *position;
        *step += 1;
        return true;
    case STEP_BEGIN:
        *step += 1;
        return *position == 0;
    case STEP_END:
        *step += 1;
        return !more;
    default:
        return !machine->whole || !more;
    }
}

static sl_err run_from(struct machine *machine, size_t from)
{
    sl_err err = push(machine, (struct choice){0, 0, from});
    while (err == SLUICE_OK && machine->choice_count > 0) {
        struct choice choice = machine->choices[--machine->choice_count];
        if (choice.slot > 0) {
            machine->saved[choice.slot - 1] = choice.value;
            continue;
        }
        uint32_t step = choice.step;
        size_t position = choice.value;
        while (err == SLUICE_OK && visit(machine, step, position)) {
            bool ends = machine->pattern->steps[step].kind == STEP_MATCH;
            if (!walk(machine, &step, &position, &err)) {
                break;
            }
            if (ends) {
                return SLUICE_OK;
            }
        }
    }
    return err != SLUICE_OK ? err : SLUICE_E_NOT_FOUND;
}

sl_err name_pattern_find(const struct name_pattern *pattern, struct sl_bytes text, size_t from,
                         bool whole, struct name_match *ret_match)
{
    if (text.size > NAME_PATTERN_TEXT_MAX || from > text.size) {
        return SLUICE_E_INVALID;
    }
    size_t words = (pattern->step_count * (text.size + 1) + 63) / 64;
    struct machine machine = {.pattern = pattern, .text = text, .whole = whole};
    machine.visited = sl_alloc_zero(words, sizeof(*machine.visited));
    sl_err err = machine.visited == NULL ? SLUICE_E_NO_MEMORY : SLUICE_E_NOT_FOUND;
    /* What was visited from an earlier beginning does not match from a later one either. */
    for (size_t at = from; err == SLUICE_E_NOT_FOUND && at <= text.size; at++) {
        memset(machine.saved, 0xff, sizeof(machine.saved));
        machine.choice_count = 0;
        err = run_from(&machine, at);
        if (whole) {
            break;
        }
    }
    if (err == SLUICE_OK) {
        memcpy(ret_match->at, machine.saved, sizeof(ret_match->at));
    }
    sl_free(machine.visited);
    sl_free(machine.choices);
    return err;
}
