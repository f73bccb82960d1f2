/* topic_pattern.c: see topic_pattern.h.
 *
 *   text ─► tree (recursive descent) ─► steps ─► run: the set of steps that may come next, byte by
 *   byte
 *
 * Sets of bytes are bit maps of 256. Names of topics are ASCII, so a character is a byte. Lazy
 * operators say the same as greedy ones where only the whole name counts. */
#include "deliver/topic_pattern.h"

#include "base/bytes.h"

#include <stdlib.h>

#define NODES_MAX   4096u
#define REPEAT_MORE UINT32_MAX /* no upper bound */

struct byte_set {
    uint64_t bits[4];
};

enum node_kind { NODE_EMPTY, NODE_SET, NODE_AND, NODE_OR, NODE_REPEAT, NODE_LOOK };
enum look { LOOK_BEGIN, LOOK_END, LOOK_WORD, LOOK_NO_WORD };

struct node {
    enum node_kind kind;
    uint32_t left, right; /* of AND, OR; left: of REPEAT; LOOK: which */
    uint32_t low, high;   /* of REPEAT */
    struct byte_set set;
};

enum step_kind { STEP_SET, STEP_SPLIT, STEP_JUMP, STEP_LOOK, STEP_MATCH };

struct step {
    uint8_t kind;
    uint16_t to, other;  /* SPLIT: both; JUMP: to; LOOK: to says which */
    struct byte_set set; /* of SET */
};

struct topic_pattern {
    uint32_t count;
    struct step *steps; /* owned */
    uint16_t *lists;    /* owned: this byte's, the next one's, a stack */
    uint8_t *seen;      /* owned: in the list that is being made */
};

/* ---- sets ---- */

static void set_add(struct byte_set *set, uint8_t byte)
{
    set->bits[byte / 64] |= 1ull << (byte % 64);
}

static bool set_has(const struct byte_set *set, uint8_t byte)
{
    return (set->bits[byte / 64] >> (byte % 64) & 1) != 0;
}

static void set_join(struct byte_set *set, const struct byte_set *other, bool negated)
{
    for (uint32_t i = 0; i < 4; i++)
        set->bits[i] |= negated ? ~other->bits[i] : other->bits[i];
}

static void set_range(struct byte_set *set, uint8_t low, uint8_t high)
{
    for (uint32_t b = low; b <= high; b++)
        set_add(set, (uint8_t)b);
}

static void set_fold(struct byte_set *set)
{
    for (uint8_t b = 'a'; b <= 'z'; b++) {
        uint8_t upper = (uint8_t)(b - 'a' + 'A');
        if (set_has(set, b) || set_has(set, upper)) {
            set_add(set, b);
            set_add(set, upper);
        }
    }
}

/* Ranges of named classes, in pairs. */
struct named_set {
    const char *name;
    const char *ranges;
};
static const struct named_set named_sets[] = {
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"ascii", "\x01\x7f"},
    {"blank", "\t\t  "},
    {"cntrl", "\x01\x1f\x7f\x7f"},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZaz__"},
    {"xdigit", "09AFaf"},
};

static void set_ranges(struct byte_set *set, const char *ranges)
{
    for (; ranges[0] != '\0'; ranges += 2)
        set_range(set, (uint8_t)ranges[0], (uint8_t)ranges[1]);
}

/* \d \w \s and what is not that. */
static bool set_perl(struct byte_set *set, char c)
{
    struct byte_set named = {{0}};
    char lower = (char)(c | 0x20);
    if (lower != 'd' && lower != 'w' && lower != 's')
        return false;
    set_ranges(&named, lower == 'd' ? "09" : lower == 'w' ? "09AZaz__" : "\t\n\f\r  ");
    set_join(set, &named, c != lower);
    return true;
}

/* ---- reading ---- */

struct parser {
    struct sl_bytes text;
    size_t at;
    struct node *nodes; /* owned */
    uint32_t count;
    uint32_t depth;
    bool folds;
    const char *problem; /* NULL: none so far */
};

static uint32_t fail(struct parser *parser, const char *problem)
{
    if (parser->problem == NULL)
        parser->problem = problem;
    return 0;
}

static uint32_t node_add(struct parser *parser, struct node node)
{
    if (parser->count == NODES_MAX)
        return fail(parser, "expression is too large");
    parser->nodes[parser->count] = node;
    return parser->count++;
}

static bool is_at_end(const struct parser *parser)
{
    return parser->problem != NULL || parser->at >= parser->text.size;
}

static char peek(const struct parser *parser, size_t ahead)
{
    return parser->at + ahead < parser->text.size ? (char)parser->text.data[parser->at + ahead]
                                                  : '\0';
}

static bool take(struct parser *parser, char c)
{
    bool is_there = !is_at_end(parser) && peek(parser, 0) == c;
    parser->at += is_there;
    return is_there;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* Behind \x: two digits, or any number of them in braces. */
static int read_hex(struct parser *parser)
{
    int value = 0, digits = 0;
    bool braces = take(parser, '{');
    for (; hex_of(peek(parser, 0)) >= 0 && digits < (braces ? 6 : 2); digits++, parser->at++)
        value = value * 16 + hex_of(peek(parser, 0));
    if (digits == 0 || (!braces && digits != 2) || (braces && !take(parser, '}')))
        return -1;
    return value < 256 ? value : 255;
}

/* A single character behind a backslash; -1: there is none such. */
static int read_escape(struct parser *parser)
{
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    char c = peek(parser, 0);
    if (is_at_end(parser))
        return -1;
    parser->at++;
    const char *known = strchr(letters, c);
    if (c != '\0' && known != NULL)
        return values[known - letters];
    if (c == 'x')
        return read_hex(parser);
    bool is_word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return is_word ? -1 : (uint8_t)c;
}

static bool read_posix(struct parser *parser, struct byte_set *set)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(named_sets); i++) {
        for (int negated = 0; negated < 2; negated++) {
            const char *name = named_sets[i].name;
            size_t size = strlen(name), skip = 2 + (size_t)negated;
            const uint8_t *at = parser->text.data + parser->at;
            if (parser->at + skip + size + 2 > parser->text.size ||
                (negated == 1) != (at[2] == '^') || memcmp(at + skip, name, size) != 0 ||
                memcmp(at + skip + size, ":]", 2) != 0)
                continue;
            struct byte_set named = {{0}};
            set_ranges(&named, named_sets[i].ranges);
            set_join(set, &named, negated == 1);
            parser->at += skip + size + 2;
            return true;
        }
    }
    fail(parser, "invalid character class range");
    return false;
}

/* One character of a class; -1: a whole class was added. */
static int read_class_part(struct parser *parser, struct byte_set *set)
{
    if (peek(parser, 0) == '[' && peek(parser, 1) == ':') {
        read_posix(parser, set);
        return -1;
    }
    if (!take(parser, '\\'))
        return parser->text.data[parser->at++];
    if (set_perl(set, peek(parser, 0))) {
        parser->at++;
        return -1;
    }
    int c = read_escape(parser);
    if (c < 0)
        fail(parser, "invalid escape sequence");
    return c;
}

static uint32_t read_class(struct parser *parser)
{
    struct byte_set set = {{0}};
    bool negated = take(parser, '^');
    for (bool first = true; first || peek(parser, 0) != ']'; first = false) {
        if (is_at_end(parser))
            return fail(parser, "missing closing ]");
        int low = read_class_part(parser, &set), high = low;
        if (low >= 0 && peek(parser, 0) == '-' && parser->at + 1 < parser->text.size &&
            peek(parser, 1) != ']') {
            parser->at++;
            high = read_class_part(parser, &set);
            if (high < low)
                return fail(parser, "invalid character class range");
        }
        if (low >= 0)
            set_range(&set, (uint8_t)low, (uint8_t)high);
    }
    parser->at++;
    if (parser->folds)
        set_fold(&set);
    struct node node = {.kind = NODE_SET};
    set_join(&node.set, &set, negated);
    return node_add(parser, node);
}

static uint32_t literal(struct parser *parser, uint8_t byte)
{
    struct node node = {.kind = NODE_SET};
    set_add(&node.set, byte);
    if (parser->folds)
        set_fold(&node.set);
    return node_add(parser, node);
}

static uint32_t look(struct parser *parser, enum look which)
{
    return node_add(parser, (struct node){.kind = NODE_LOOK, .left = which});
}

static uint32_t join(struct parser *parser, enum node_kind kind, uint32_t left, uint32_t right)
{
    return node_add(parser, (struct node){.kind = kind, .left = left, .right = right});
}

static uint32_t read_quoted(struct parser *parser)
{
    uint32_t all = node_add(parser, (struct node){.kind = NODE_EMPTY});
    while (!is_at_end(parser) && !(peek(parser, 0) == '\\' && peek(parser, 1) == 'E'))
        all = join(parser, NODE_AND, all, literal(parser, parser->text.data[parser->at++]));
    parser->at += is_at_end(parser) ? 0 : 2;
    return all;
}

static uint32_t read_backslash(struct parser *parser)
{
    struct node node = {.kind = NODE_SET};
    char c = peek(parser, 0);
    if (set_perl(&node.set, c)) {
        parser->at++;
        return node_add(parser, node);
    }
    static const char looks[] = "AzbB";
    static const enum look kinds[] = {LOOK_BEGIN, LOOK_END, LOOK_WORD, LOOK_NO_WORD};
    const char *known = is_at_end(parser) || c == '\0' ? NULL : strchr(looks, c);
    if (known != NULL || c == 'Q') {
        parser->at++;
        return known != NULL ? look(parser, kinds[known - looks]) : read_quoted(parser);
    }
    bool is_last = is_at_end(parser);
    int byte = read_escape(parser);
    if (byte < 0)
        return fail(parser, is_last ? "trailing backslash at end of expression"
                                    : "invalid escape sequence");
    return literal(parser, (uint8_t)byte);
}

static uint32_t read_alternatives(struct parser *parser);

/* (?flags) and (?flags: ; the flags' effect ends with the group they stand in. True: a group
 * begins. */
static bool read_flags(struct parser *parser)
{
    bool on = true;
    if (take(parser, 'P') || (peek(parser, 0) == '<' && peek(parser, 1) != '=' &&
                              peek(parser, 1) != '!')) { /* a name, which nobody asks for */
        while (!is_at_end(parser) && peek(parser, 0) != '>' && peek(parser, 0) != ')')
            parser->at++;
        if (!take(parser, '>'))
            fail(parser, "invalid named capture");
        return true;
    }
    for (; !is_at_end(parser); parser->at++) {
        char c = peek(parser, 0);
        if (c == ':' || c == ')') {
            parser->at++;
            return c == ':';
        }
        if (c == 'i')
            parser->folds = on;
        else if (c == '-' && on)
            on = false;
        else if (c != 's' && c != 'm' && c != 'U')
            break;
    }
    fail(parser, "invalid or unsupported Perl syntax");
    return false;
}

static uint32_t read_group(struct parser *parser)
{
    bool folds = parser->folds;
    if (peek(parser, 0) == '?') {
        parser->at++;
        if (!read_flags(parser)) /* for the rest of the group around */
            return node_add(parser, (struct node){.kind = NODE_EMPTY});
    }
    if (++parser->depth > TOPIC_PATTERN_DEPTH_MAX)
        return fail(parser, "expression nests too deeply");
    uint32_t inner = read_alternatives(parser);
    parser->depth--;
    parser->folds = folds;
    return take(parser, ')') ? inner : fail(parser, "missing closing )");
}

static uint32_t read_atom(struct parser *parser)
{
    struct node any = {.kind = NODE_SET};
    char c = peek(parser, 0);
    parser->at++;
    switch (c) {
    case '.':
        set_range(&any.set, 0, 255);
        return node_add(parser, any);
    case '[':
        return read_class(parser);
    case '(':
        return read_group(parser);
    case '\\':
        return read_backslash(parser);
    case '^':
        return look(parser, LOOK_BEGIN);
    case '$':
        return look(parser, LOOK_END);
    case '*':
    case '+':
    case '?':
        return fail(parser, "missing argument to repetition operator");
    default:
        return literal(parser, (uint8_t)c);
    }
}

static bool read_number(const struct parser *parser, size_t *at, uint32_t *ret_number)
{
    size_t first = *at;
    *ret_number = 0;
    for (;
         *at < parser->text.size && parser->text.data[*at] >= '0' && parser->text.data[*at] <= '9';
         (*at)++)
        *ret_number = SL_MIN(*ret_number * 10u + (parser->text.data[*at] - '0'),
                             TOPIC_PATTERN_REPEAT_MAX * 10u);
    return *at != first;
}

/* {n}, {n,} or {n,m}; a brace with anything else is a character. */
static bool read_counts(struct parser *parser, uint32_t *ret_low, uint32_t *ret_high)
{
    size_t at = parser->at + 1;
    if (peek(parser, 0) != '{' || !read_number(parser, &at, ret_low))
        return false;
    *ret_high = *ret_low;
    if (at < parser->text.size && parser->text.data[at] == ',') {
        at++;
        if (!read_number(parser, &at, ret_high))
            *ret_high = REPEAT_MORE;
    }
    if (at >= parser->text.size || parser->text.data[at] != '}')
        return false;
    parser->at = at + 1;
    if (*ret_low > TOPIC_PATTERN_REPEAT_MAX || *ret_high < *ret_low ||
        (*ret_high != REPEAT_MORE && *ret_high > TOPIC_PATTERN_REPEAT_MAX))
        fail(parser, "invalid repeat count");
    return true;
}

static bool read_operator(struct parser *parser, uint32_t *ret_low, uint32_t *ret_high)
{
    if (is_at_end(parser))
        return false;
    char c = peek(parser, 0);
    if (c == '*' || c == '+' || c == '?') {
        parser->at++;
        *ret_low = c == '+';
        *ret_high = c == '?' ? 1 : REPEAT_MORE;
        return true;
    }
    return read_counts(parser, ret_low, ret_high);
}

static uint32_t read_repeated(struct parser *parser)
{
    uint32_t node = read_atom(parser);
    uint32_t low = 0, high = 0;
    if (!read_operator(parser, &low, &high))
        return node;
    (void)take(parser, '?');
    node = node_add(parser,
                    (struct node){.kind = NODE_REPEAT, .left = node, .low = low, .high = high});
    return read_operator(parser, &low, &high) ? fail(parser, "invalid nested repetition operator")
                                              : node;
}

static uint32_t read_row(struct parser *parser)
{
    uint32_t row = node_add(parser, (struct node){.kind = NODE_EMPTY});
    while (!is_at_end(parser) && peek(parser, 0) != '|' && peek(parser, 0) != ')')
        row = join(parser, NODE_AND, row, read_repeated(parser));
    return row;
}

static uint32_t read_alternatives(struct parser *parser)
{
    uint32_t all = read_row(parser);
    while (take(parser, '|'))
        all = join(parser, NODE_OR, all, read_row(parser));
    return all;
}

/* ---- steps ---- */

struct emitter {
    const struct node *nodes;
    struct step *steps;
    uint32_t count;
    bool failed;
};

static uint32_t emit(struct emitter *emitter, struct step step)
{
    if (emitter->count == TOPIC_PATTERN_STEPS_MAX) {
        emitter->failed = true;
        return 0;
    }
    emitter->steps[emitter->count] = step;
    return emitter->count++;
}

static void emit_node(struct emitter *emitter, uint32_t index);

static void emit_optional(struct emitter *emitter, uint32_t index, bool repeats)
{
    uint32_t split = emit(emitter, (struct step){.kind = STEP_SPLIT});
    emitter->steps[split].to = (uint16_t)emitter->count;
    emit_node(emitter, index);
    if (repeats)
        emit(emitter, (struct step){.kind = STEP_JUMP, .to = (uint16_t)split});
    emitter->steps[split].other = (uint16_t)emitter->count;
}

static void emit_repeat(struct emitter *emitter, const struct node *node)
{
    for (uint32_t i = 0; i < node->low && !emitter->failed; i++)
        emit_node(emitter, node->left);
    if (node->high == REPEAT_MORE) {
        emit_optional(emitter, node->left, true);
        return;
    }
    for (uint32_t i = node->low; i < node->high && !emitter->failed; i++)
        emit_optional(emitter, node->left, false);
}

static void emit_or(struct emitter *emitter, const struct node *node)
{
    uint32_t split = emit(emitter, (struct step){.kind = STEP_SPLIT});
    emitter->steps[split].to = (uint16_t)emitter->count;
    emit_node(emitter, node->left);
    uint32_t jump = emit(emitter, (struct step){.kind = STEP_JUMP});
    emitter->steps[split].other = (uint16_t)emitter->count;
    emit_node(emitter, node->right);
    emitter->steps[jump].to = (uint16_t)emitter->count;
}

static void emit_node(struct emitter *emitter, uint32_t index)
{
    const struct node *node = &emitter->nodes[index];
    if (emitter->failed)
        return;
    switch (node->kind) {
    case NODE_EMPTY:
        break;
    case NODE_SET:
        emit(emitter, (struct step){.kind = STEP_SET, .set = node->set});
        break;
    case NODE_LOOK:
        emit(emitter, (struct step){.kind = STEP_LOOK, .to = (uint16_t)node->left});
        break;
    case NODE_AND:
        emit_node(emitter, node->left);
        emit_node(emitter, node->right);
        break;
    case NODE_OR:
        emit_or(emitter, node);
        break;
    case NODE_REPEAT:
        emit_repeat(emitter, node);
        break;
    }
}

/* ---- making ---- */

struct topic_pattern *topic_pattern_free(struct topic_pattern *pattern)
{
    if (pattern != NULL) {
        sl_free(pattern->steps);
        sl_free(pattern->lists);
        sl_free(pattern->seen);
        sl_free(pattern);
    }
    return NULL;
}

static sl_err compile(struct topic_pattern *pattern, const struct node *nodes, uint32_t root,
                      const char **ret_reason)
{
    pattern->steps = sl_alloc_zero(TOPIC_PATTERN_STEPS_MAX, sizeof *pattern->steps);
    if (pattern->steps == NULL)
        return SLUICE_E_NO_MEMORY;
    struct emitter emitter = {.nodes = nodes, .steps = pattern->steps};
    emit_node(&emitter, root);
    emit(&emitter, (struct step){.kind = STEP_MATCH});
    if (emitter.failed) {
        *ret_reason = "expression is too large";
        return SLUICE_E_INVALID_REGEX;
    }
    pattern->count = emitter.count;
    void *fitting = sl_realloc(pattern->steps, pattern->count * sizeof *pattern->steps);
    pattern->steps = fitting != NULL ? fitting : pattern->steps;
    pattern->lists = sl_alloc_zero(pattern->count * 4u, sizeof *pattern->lists);
    pattern->seen = sl_alloc_zero(pattern->count, 1);
    return pattern->lists == NULL || pattern->seen == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

sl_err topic_pattern_new(struct sl_bytes text, struct topic_pattern **ret_pattern,
                         const char **ret_reason)
{
    struct parser parser = {.text = text};
    struct topic_pattern *pattern = sl_alloc_zero(1, sizeof *pattern);
    parser.nodes = sl_alloc_zero(NODES_MAX, sizeof *parser.nodes);
    sl_err err = SLUICE_OK;
    if (pattern == NULL || parser.nodes == NULL) {
        err = SLUICE_E_NO_MEMORY;
    } else {
        if (text.size > TOPIC_PATTERN_BYTES_MAX)
            fail(&parser, "expression is too large");
        uint32_t root = read_alternatives(&parser);
        if (parser.problem == NULL && parser.at < text.size)
            fail(&parser, "unexpected )");
        *ret_reason = parser.problem;
        err = parser.problem != NULL ? SLUICE_E_INVALID_REGEX
                                     : compile(pattern, parser.nodes, root, ret_reason);
    }
    sl_free(parser.nodes);
    if (err != SLUICE_OK)
        topic_pattern_free(pattern);
    else
        *ret_pattern = pattern;
    return err;
}

/* ---- running ---- */

struct run {
    struct topic_pattern *pattern;
    struct sl_bytes name;
    size_t at;
    uint16_t *list;
    uint32_t count;
};

static bool is_word_at(const struct run *run, size_t at)
{
    struct byte_set word = {{0}};
    set_ranges(&word, "09AZaz__");
    return at < run->name.size && set_has(&word, run->name.data[at]);
}

static bool looks(const struct run *run, enum look which)
{
    bool border = is_word_at(run, run->at) != (run->at > 0 && is_word_at(run, run->at - 1));
    return which == LOOK_BEGIN  ? run->at == 0
           : which == LOOK_END  ? run->at == run->name.size
           : which == LOOK_WORD ? border
                                : !border;
}

/* The step and all that it leads to without a byte; each once. The stack has room for two a step.
 */
static void reach(struct run *run, uint16_t *stack, uint32_t first)
{
    struct topic_pattern *pattern = run->pattern;
    uint32_t depth = 0;
    stack[depth++] = (uint16_t)first;
    while (depth > 0) {
        uint16_t index = stack[--depth];
        const struct step *step = &pattern->steps[index];
        if (pattern->seen[index] != 0)
            continue;
        pattern->seen[index] = 1;
        if (step->kind == STEP_JUMP || step->kind == STEP_SPLIT)
            stack[depth++] = step->to;
        if (step->kind == STEP_SPLIT)
            stack[depth++] = step->other;
        if (step->kind == STEP_LOOK && looks(run, (enum look)step->to))
            stack[depth++] = (uint16_t)(index + 1);
        if (step->kind == STEP_SET || step->kind == STEP_MATCH)
            run->list[run->count++] = index;
    }
}

bool topic_pattern_matches(struct topic_pattern *pattern, struct sl_bytes name)
{
    uint16_t *now = pattern->lists, *next = now + pattern->count, *stack = next + pattern->count;
    struct run run = {.pattern = pattern, .name = name, .list = now};
    memset(pattern->seen, 0, pattern->count);
    reach(&run, stack, 0);
    for (; run.at < name.size && run.count > 0;) {
        uint32_t count = run.count;
        uint8_t byte = name.data[run.at++];
        memset(pattern->seen, 0, pattern->count);
        run.list = next;
        run.count = 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct step *step = &pattern->steps[now[i]];
            if (step->kind == STEP_SET && set_has(&step->set, byte))
                reach(&run, stack, now[i] + 1u);
        }
        next = now;
        now = run.list;
    }
    for (uint32_t i = 0; run.at == name.size && i < run.count; i++) {
        if (pattern->steps[now[i]].kind == STEP_MATCH)
            return true;
    }
    return false;
}
