/* rehearsal_client.c: what clients send to a rehearsed frontend: random bytes, lines, requests like
 * HTTP's, frames with a size in front, and pieces of a sample, all of them bent here and there. The
 * words are those of the module's own file: a protocol's keywords stand there. */
#include "rehearsal_frontend.h"

#include <ctype.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define WORD_MIN    3u
#define WORD_MAX    24u
#define KEYWORD_MAX 8u
#define FILE_MAX    (16u << 20)
#define ITEM_MAX    512u
#define ITEMS_MAX   12u

/* Once there are more than fit, each of the file is as likely as another (algorithm R). */
static void keep(struct word_list *list, uint32_t at, uint32_t size)
{
    const uint32_t place =
        list->seen < WORDS_MAX ? list->seen : ((at * 2654435761u) >> 4) % list->seen;

    list->seen++;
    if (place < WORDS_MAX) {
        list->items[place] = (struct word){at, size};
    }
    list->count = list->seen < WORDS_MAX ? list->seen : WORDS_MAX;
}

static bool is_all_upper(const uint8_t *word, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        if (!isupper(word[i])) {
            return false;
        }
    }
    return true;
}

static void sort_in(struct words *words, uint32_t at, uint32_t size)
{
    if (size < WORD_MIN || size > WORD_MAX) {
        return;
    }
    keep(&words->any, at, size);
    if (size <= KEYWORD_MAX && is_all_upper(words->file + at, size)) {
        keep(&words->keywords, at, size);
    }
    if (words->file[at] == '/') {
        keep(&words->paths, at, size);
    }
}

void words_init(struct words *words)
{
    struct stat stat;
    uint32_t at = 0;

    if (fstat(WORKER_FD_MODULE, &stat) == 0 && stat.st_size > 0 && stat.st_size <= FILE_MAX) {
        void *file = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, WORKER_FD_MODULE, 0);

        words->file = file == MAP_FAILED ? NULL : file;
    }
    for (uint32_t i = 0; words->file != NULL && i < (uint32_t)stat.st_size; i++) {
        if (!isprint(words->file[i]) || words->file[i] == ' ') {
            sort_in(words, at, i - at);
            at = i + 1;
        }
    }
}

static void put(struct peer *peer, const void *bytes, uint32_t size)
{
    size = size < STAGE_INPUT_MAX - peer->size ? size : STAGE_INPUT_MAX - peer->size;
    if (size > 0) {
        memcpy(peer->bytes + peer->size, bytes, size);
        peer->size += size;
    }
}

static void put_text(struct peer *peer, const char *text)
{
    put(peer, text, (uint32_t)strlen(text));
}

static void put_number(struct peer *peer, uint64_t number, uint32_t size)
{
    while (size > 0) {
        const uint8_t byte = (uint8_t)(number >> (8 * --size)); /* the highest first */

        put(peer, &byte, 1);
    }
}

static void put_random(struct stage *stage, struct peer *peer, uint32_t size)
{
    while (size-- > 0) {
        put_number(peer, stage_draw(stage, 3) == 0 ? stage_draw(stage, 256) : stage_draw(stage, 4),
                   1);
    }
}

/* False: there is none. */
static bool put_of(struct stage *stage, struct peer *peer, const struct word_list *list)
{
    const struct word *word;

    if (list->count == 0) {
        return false;
    }
    word = &list->items[stage_draw(stage, list->count)];
    put(peer, stage->words->file + word->at, word->size);
    return true;
}

static void put_word(struct stage *stage, struct peer *peer)
{
    static const char *const plain[] = {"topic",    "a/1", "0", "7", "-1", "99999999999999999999",
                                        "{\"a\":1}"};

    if (stage_draw(stage, 2) == 0 || !put_of(stage, peer, &stage->words->any)) {
        put_text(peer, plain[stage_draw(stage, sizeof(plain) / sizeof(plain[0]))]);
    }
}

static void make_line(struct stage *stage, struct peer *peer)
{
    if (stage_draw(stage, 4) == 0 || !put_of(stage, peer, &stage->words->keywords)) {
        put_word(stage, peer);
    }
    for (uint32_t i = 0, count = stage_draw(stage, 5); i < count; i++) {
        put_text(peer, " ");
        put_word(stage, peer);
    }
    put_text(peer, stage_draw(stage, 2) == 0 ? "\n" : "\r\n");
}

static void make_request(struct stage *stage, struct peer *peer)
{
    static const char *const methods[] = {"GET ", "POST ", "PUT ", "DELETE ", "HEAD "};
    const uint32_t method =
        stage_draw(stage, 2) == 0 ? 0 : stage_draw(stage, sizeof(methods) / sizeof(methods[0]));

    put_text(peer, methods[method]);
    if (stage_draw(stage, 4) == 0 || !put_of(stage, peer, &stage->words->paths)) {
        put_text(peer, "/");
        put_word(stage, peer);
    }
    put_text(peer, " HTTP/1.1\r\nHost: a\r\n");
    for (uint32_t i = 0, count = stage_draw(stage, 4); i < count; i++) {
        put_word(stage, peer);
        put_text(peer, ": ");
        put_word(stage, peer);
        put_text(peer, "\r\n");
    }
    put_text(peer, stage_draw(stage, 2) == 0 ? "Content-Length: 7\r\n\r\n{\"a\":1}" : "\r\n");
}

/* Size, then kind, version, id and a name: as Kafka's requests begin, and many others. */
static void make_frame(struct stage *stage, struct peer *peer)
{
    const uint32_t body = stage_draw(stage, ITEM_MAX / 4);
    const uint32_t lie = stage_draw(stage, 8) == 0 ? stage_draw(stage, 64) : 0;

    put_number(peer, 2u + 2u + 4u + 2u + 5u + body + lie, 4);
    put_number(peer, stage_draw(stage, 70), 2);
    put_number(peer, stage_draw(stage, 13), 2);
    put_number(peer, stage_draw(stage, 1000), 4);
    put_number(peer, 5, 2);
    put_text(peer, "check");
    put_random(stage, peer, body);
}

static void make_noise(struct stage *stage, struct peer *peer)
{
    put_random(stage, peer, stage_draw(stage, ITEM_MAX));
}

/* The size of the frame at `at` of a sample, its own four bytes included; 0: it is none. */
static uint32_t frame_size(struct sluice_bytes sample, uint64_t at)
{
    uint32_t size = 0;

    for (uint32_t i = 0; i < 4 && at + 4 <= sample.size; i++) {
        size = size << 8 | sample.data[at + i];
    }
    return size > 0 && size <= sample.size - at - 4 ? size + 4 : 0;
}

/* One frame of a sample that consists of them, else a piece from the start of a line. */
static void make_sample(struct stage *stage, struct peer *peer)
{
    const struct sluice_bytes sample = stage->worker->script.source;
    uint64_t at = 0, chosen = 0;
    uint32_t seen = 0, size;

    while ((size = frame_size(sample, at)) > 0) {
        chosen = stage_draw(stage, ++seen) == 0 ? at : chosen;
        at += size;
    }
    if (seen > 0 && at == sample.size) {
        put(peer, sample.data + chosen, frame_size(sample, chosen));
        return;
    }
    at = stage_draw(stage, 2) == 0 ? 0 : stage_draw(stage, (uint32_t)sample.size);
    while (at > 0 && sample.data[at - 1] != '\n') {
        at--;
    }
    put(peer, sample.data + at,
        sample.size - at < STAGE_INPUT_MAX ? (uint32_t)(sample.size - at) : STAGE_INPUT_MAX);
}

static void bend(struct stage *stage, struct peer *peer, uint32_t from)
{
    if (peer->size > from && stage_draw(stage, 3) == 0) {
        for (uint32_t i = 0, count = 1 + stage_draw(stage, 4); i < count; i++) {
            peer->bytes[from + stage_draw(stage, peer->size - from)] =
                (uint8_t)stage_draw(stage, 256);
        }
    }
    if (peer->size > from && stage_draw(stage, 6) == 0) {
        peer->size = from + stage_draw(stage, peer->size - from);
    }
}

void client_make(struct stage *stage, struct peer *peer)
{
    static void (*const makers[])(struct stage *, struct peer *) = {
        make_line, make_request, make_frame, make_line, make_noise, make_sample};
    const bool has_sample = stage->worker->script.source.size > 0;
    const uint32_t count = sizeof(makers) / sizeof(makers[0]) - (has_sample ? 0 : 1);
    const uint32_t kind =
        has_sample && stage_draw(stage, 2) == 0 ? count - 1 : stage_draw(stage, count);

    peer->size = 0;
    for (uint32_t i = 0, items = 1 + stage_draw(stage, ITEMS_MAX); i < items; i++) {
        const uint32_t from = peer->size;

        makers[kind](stage, peer);
        bend(stage, peer, from);
    }
}
