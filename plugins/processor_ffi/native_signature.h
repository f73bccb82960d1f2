/* native_signature: the text that says how a C function is called, "f64 pow(f64, f64)".
 *
 *   signature = type [name] "(" [parameter {"," parameter}] ")"
 *   type      = "void" | "bool" | "i8" … "i64" | "u8" … "u64" | "f32" | "f64" | "cstr"
 *   parameter = type but void | "bytes" | "bytes32" | "out(" capacity ")"
 *   name      = [A-Za-z_][A-Za-z0-9_]*, at most 127 bytes
 *
 * Blanks are free between words; "(void)" is "()". An out parameter asks for a result that is an
 * integer, the bytes written. docs/plugins/ffi.md says what each type is in C.
 *
 * Pure: no allocation, no state. Any thread. */
#ifndef NATIVE_SIGNATURE_H
#define NATIVE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_PARAMETERS_MAX      16u
#define NATIVE_NAME_BYTES          128u
#define NATIVE_OUT_BYTES_MAX       (1u << 20)
#define NATIVE_SIGNATURE_BYTES_MAX 1024u

/* name, and the type's word */
#define NATIVE_KIND_TABLE(X) \
    X(VOID, "void")          \
    X(BOOL, "bool")          \
    X(I8, "i8")              \
    X(I16, "i16")            \
    X(I32, "i32")            \
    X(I64, "i64")            \
    X(U8, "u8")              \
    X(U16, "u16")            \
    X(U32, "u32")            \
    X(U64, "u64")            \
    X(F32, "f32")            \
    X(F64, "f64")            \
    X(CSTR, "cstr")          \
    X(BYTES, "bytes")        \
    X(BYTES32, "bytes32")    \
    X(OUT, "out")
enum native_kind {
#define NATIVE_KIND_ENUM(name, word) NATIVE_##name,
    NATIVE_KIND_TABLE(NATIVE_KIND_ENUM)
#undef NATIVE_KIND_ENUM
        NATIVE_KIND_COUNT
};

struct native_parameter {
    uint32_t kind;     /* enum native_kind */
    uint32_t capacity; /* of an out parameter, bytes */
};
struct native_signature {
    uint32_t result;
    uint32_t count;
    struct native_parameter parameters[NATIVE_PARAMETERS_MAX];
    char name[NATIVE_NAME_BYTES]; /* empty: the text has none */
};

/* Why a text is none, and at which byte (from 0). */
struct native_fault {
    const char *what;
    size_t at;
};

bool native_signature_parse(const char *text, size_t size, struct native_signature *ret,
                            struct native_fault *ret_fault);
/* The text that parses to the same, NUL-terminated; its size, which is below
 * NATIVE_SIGNATURE_BYTES_MAX. */
size_t native_signature_print(const struct native_signature *signature,
                              char ret_text[NATIVE_SIGNATURE_BYTES_MAX]);

const char *native_kind_word(uint32_t kind);
static inline bool native_kind_is_integer(uint32_t kind)
{
    return kind >= NATIVE_I8 && kind <= NATIVE_U64;
}
static inline bool native_kind_is_signed(uint32_t kind)
{
    return kind >= NATIVE_I8 && kind <= NATIVE_I64;
}
/* The least and the greatest of an integer kind. */
int64_t native_kind_min(uint32_t kind);
uint64_t native_kind_max(uint32_t kind);

#endif
