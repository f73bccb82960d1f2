/* native_function: see the header. */
#include "native_function.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUT_ALIGNMENT 16u

static ffi_type *type_of(uint32_t kind)
{
    static ffi_type *const types[] = {
        [NATIVE_VOID] = &ffi_type_void,       [NATIVE_BOOL] = &ffi_type_uint8,
        [NATIVE_I8] = &ffi_type_sint8,        [NATIVE_I16] = &ffi_type_sint16,
        [NATIVE_I32] = &ffi_type_sint32,      [NATIVE_I64] = &ffi_type_sint64,
        [NATIVE_U8] = &ffi_type_uint8,        [NATIVE_U16] = &ffi_type_uint16,
        [NATIVE_U32] = &ffi_type_uint32,      [NATIVE_U64] = &ffi_type_uint64,
        [NATIVE_F32] = &ffi_type_float,       [NATIVE_F64] = &ffi_type_double,
        [NATIVE_CSTR] = &ffi_type_pointer,    [NATIVE_BYTES] = &ffi_type_pointer,
        [NATIVE_BYTES32] = &ffi_type_pointer, [NATIVE_OUT] = &ffi_type_pointer,
    };

    return types[kind];
}

/* size_t */
static ffi_type *size_type(void)
{
    return sizeof(size_t) == sizeof(uint64_t) ? &ffi_type_uint64 : &ffi_type_uint32;
}

static void add_slot(struct native_function *function, ffi_type *type)
{
    const uint32_t slot = function->slot_count++;

    function->types[slot] = type;
    function->values[slot] = &function->slots[slot];
}

static void add_parameter(struct native_function *function, uint32_t index)
{
    const uint32_t kind = function->signature.parameters[index].kind;

    function->first_slot[index] = function->slot_count;
    add_slot(function, type_of(kind));
    if (kind == NATIVE_BYTES || kind == NATIVE_OUT) {
        add_slot(function, size_type());
    } else if (kind == NATIVE_BYTES32) {
        add_slot(function, &ffi_type_uint32);
    }
}

/* Its end touches a page that faults: who writes on ends there, not in other memory. */
static bool map_out(struct native_function *function, uint32_t index)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uint32_t capacity = function->signature.parameters[index].capacity;
    const size_t room = (capacity + OUT_ALIGNMENT - 1) & ~(size_t)(OUT_ALIGNMENT - 1);
    const size_t size = (room + page - 1) / page * page;
    uint8_t *memory =
        mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return false;
    }
    function->out_mapping = memory;
    function->out_mapping_size = size + page;
    function->out = memory + size - room;
    function->out_capacity = capacity;
    function->slots[function->first_slot[index]].pointer = function->out;
    function->slots[function->first_slot[index] + 1].size = capacity;
    return mprotect(memory + size, page, PROT_NONE) == 0;
}

const char *native_function_init(struct native_function *function,
                                 const struct native_signature *signature, void *address)
{
    memset(function, 0, sizeof(*function));
    function->signature = *signature;
    memcpy(&function->address, &address, sizeof(address)); /* POSIX: dlsym gives functions so */
    for (uint32_t i = 0; i < signature->count; i++) {
        add_parameter(function, i);
        if (signature->parameters[i].kind == NATIVE_OUT && !map_out(function, i)) {
            return "there is no memory for its out parameter";
        }
    }
    return ffi_prep_cif(&function->cif, FFI_DEFAULT_ABI, function->slot_count,
                        type_of(signature->result), function->types) == FFI_OK
               ? NULL
               : "libffi cannot call a function of this signature on this machine";
}

void native_function_fini(struct native_function *function)
{
    if (function->out_mapping != NULL) {
        munmap(function->out_mapping, function->out_mapping_size);
        function->out_mapping = NULL;
    }
}

static union native_slot *slot_of(struct native_function *function, uint32_t index)
{
    return &function->slots[function->first_slot[index]];
}

void native_function_set_integer(struct native_function *function, uint32_t index, uint64_t bits)
{
    union native_slot *slot = slot_of(function, index);

    switch (function->signature.parameters[index].kind) {
    case NATIVE_BOOL:
    case NATIVE_I8:
    case NATIVE_U8:
        slot->u8 = (uint8_t)bits;
        break;
    case NATIVE_I16:
    case NATIVE_U16:
        slot->u16 = (uint16_t)bits;
        break;
    case NATIVE_I32:
    case NATIVE_U32:
        slot->u32 = (uint32_t)bits;
        break;
    default:
        slot->u64 = bits;
        break;
    }
}

void native_function_set_real(struct native_function *function, uint32_t index, double value)
{
    if (function->signature.parameters[index].kind == NATIVE_F32) {
        slot_of(function, index)->f32 = (float)value;
    } else {
        slot_of(function, index)->f64 = value;
    }
}

void native_function_set_bytes(struct native_function *function, uint32_t index, const void *data,
                               size_t size)
{
    union native_slot *slot = slot_of(function, index);
    const uint32_t kind = function->signature.parameters[index].kind;

    slot->pointer = data;
    if (kind == NATIVE_BYTES) {
        slot[1].size = size;
    } else if (kind == NATIVE_BYTES32) {
        slot[1].u32 = (uint32_t)size; /* a record has less than 4 GiB */
    }
}

void native_function_call(struct native_function *function)
{
    ffi_call(&function->cif, function->address, &function->result, function->values);
}

uint64_t native_function_integer(const struct native_function *function)
{
    const ffi_arg bits = function->result.integer;

    switch (function->signature.result) {
    case NATIVE_I8:
        return (uint64_t)(int64_t)(int8_t)bits;
    case NATIVE_I16:
        return (uint64_t)(int64_t)(int16_t)bits;
    case NATIVE_I32:
        return (uint64_t)(int64_t)(int32_t)bits;
    case NATIVE_U8:
        return (uint8_t)bits;
    case NATIVE_U16:
        return (uint16_t)bits;
    case NATIVE_U32:
        return (uint32_t)bits;
    default:
        return function->result.u64;
    }
}

bool native_function_truth(const struct native_function *function)
{
    return (uint8_t)function->result.integer != 0;
}

double native_function_real(const struct native_function *function)
{
    return function->signature.result == NATIVE_F32 ? (double)function->result.f32
                                                    : function->result.f64;
}

bool native_function_gives_bytes(const struct native_function *function)
{
    return function->signature.result == NATIVE_CSTR || function->out != NULL;
}

static const char *take_out(const struct native_function *function, const uint8_t **ret_data,
                            size_t *ret_size)
{
    const uint64_t written = native_function_integer(function);

    if (native_kind_is_signed(function->signature.result) && (int64_t)written < 0) {
        return "the function failed: its result is negative";
    }
    if (written > function->out_capacity) {
        return "the function says that it wrote more than out(N) has room for";
    }
    *ret_data = function->out;
    *ret_size = (size_t)written;
    return NULL;
}

const char *native_function_bytes(const struct native_function *function, const uint8_t **ret_data,
                                  size_t *ret_size)
{
    if (function->out != NULL) {
        return take_out(function, ret_data, ret_size);
    }
    const char *text = function->result.text;
    const size_t size = text != NULL ? strnlen(text, NATIVE_RESULT_BYTES_MAX) : 0;

    if (size == NATIVE_RESULT_BYTES_MAX) {
        return "the text that the function returned does not end within 1 MiB";
    }
    *ret_data = (const uint8_t *)text;
    *ret_size = size;
    return NULL;
}
