/* native_function: a C function that is called by its signature, through libffi.
 *
 * In: values set parameter by parameter. Out: the result, and what an out parameter holds. Nothing
 * is allocated per call. Nothing is checked but by whoever sets: the function is called as the
 * signature says, and one that is other than that may end the process, which is why only a worker
 * calls any.
 *
 * Thread: one at a time. */
#ifndef NATIVE_FUNCTION_H
#define NATIVE_FUNCTION_H

#include "native_signature.h"

#include <ffi.h>

#define NATIVE_RESULT_BYTES_MAX (1u << 20) /* of a cstr result */

union native_slot {
    bool truth;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
    const void *pointer;
    size_t size;
};

struct native_function {
    struct native_signature signature;
    void (*address)(void);
    ffi_cif cif;
    uint32_t slot_count;                        /* arguments as C sees them */
    uint32_t first_slot[NATIVE_PARAMETERS_MAX]; /* of each parameter */
    ffi_type *types[2 * NATIVE_PARAMETERS_MAX]; /* of the slots */
    union native_slot slots[2 * NATIVE_PARAMETERS_MAX];
    void *values[2 * NATIVE_PARAMETERS_MAX]; /* the slots' addresses */
    union {
        ffi_arg integer; /* libffi widens what is smaller */
        ffi_sarg signed_integer;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
        const char *text;
    } result;
    uint8_t *out; /* of the out parameter, before a page that nobody can touch */
    uint32_t out_capacity;
    void *out_mapping; /* [owned] */
    size_t out_mapping_size;
};

/* `address` is the function's. NULL, or a sentence; fini is fine after both. The memory must not
 * move afterwards. */
const char *native_function_init(struct native_function *function,
                                 const struct native_signature *signature, void *address);
void native_function_fini(struct native_function *function);

/* ---- the values of a parameter, by its index among the signature's ---- */
/* An integer, a truth value or a number of its kind; the caller keeps to the range. */
void native_function_set_integer(struct native_function *function, uint32_t index, uint64_t bits);
void native_function_set_real(struct native_function *function, uint32_t index, double value);
/* cstr (NUL-terminated by the caller), bytes, bytes32. [borrows data until the call ended] */
void native_function_set_bytes(struct native_function *function, uint32_t index, const void *data,
                               size_t size);

void native_function_call(struct native_function *function);

/* ---- the result, after a call ---- */
/* Of an integer kind: its bits, sign-extended. */
uint64_t native_function_integer(const struct native_function *function);
bool native_function_truth(const struct native_function *function);
double native_function_real(const struct native_function *function);
/* Of a cstr, or what is in the out parameter; data NULL: the function returned NULL. Valid until
 * the next call. A sentence: it says that it wrote more than there was room for, failed (< 0), or
 * its text has no end. */
const char *native_function_bytes(const struct native_function *function, const uint8_t **ret_data,
                                  size_t *ret_size);
/* The result is text: a cstr, or there is an out parameter. */
bool native_function_gives_bytes(const struct native_function *function);

#endif
