/* fuzz_ffi_signature.c: signatures of C functions, and configurations of processor_ffi, from bytes
 * that nobody has looked at.
 *
 * Input: a text. Checked: what parses prints to a text that parses to the same; a fault lies inside
 * the text and has a sentence; libffi can call whatever parses (or says so); the same bytes as a
 * configuration are read, or refused with a sentence. */
#include "call_settings.h"
#include "native_function.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct native_signature *a, const struct native_signature *b)
{
    CHECK(a->result == b->result && a->count == b->count && strcmp(a->name, b->name) == 0);
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK(a->parameters[i].kind == b->parameters[i].kind &&
              a->parameters[i].capacity == b->parameters[i].capacity);
    }
}

static void check_signature(const char *text, size_t size)
{
    static struct native_function function;
    char printed[NATIVE_SIGNATURE_BYTES_MAX];
    struct native_signature signature;
    struct native_signature again;
    struct native_fault fault = {NULL, 0};

    if (!native_signature_parse(text, size, &signature, &fault)) {
        CHECK(fault.what != NULL && fault.at <= size);
        return;
    }
    size = native_signature_print(&signature, printed);
    CHECK(size < sizeof(printed) && strlen(printed) == size);
    CHECK(native_signature_parse(printed, size, &again, &fault));
    same(&signature, &again);
    (void)native_function_init(&function, &signature, NULL);
    CHECK(function.slot_count <= 2 * NATIVE_PARAMETERS_MAX);
    native_function_fini(&function);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct call_settings settings;
    char text[CALL_TEXT_BYTES];
    char *copy = malloc(size > 0 ? size : 1); /* of its size: the sanitizer sees each end */

    CHECK(copy != NULL);
    memcpy(copy, data, size);
    check_signature(copy, size);
    if (!call_settings_read((struct sluice_text){copy, size}, &settings, text)) {
        CHECK(text[0] != '\0');
    }
    free(copy);
    return 0;
}
