/* sample_library.c: functions of every type that a signature can say, in a plain shared library. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SAME(name, type)                                             \
    __attribute__((visibility("default"))) type same_##name(type x); \
    type same_##name(type x)                                         \
    {                                                                \
        return x;                                                    \
    }
SAME(bool, bool)
SAME(i8, int8_t)
SAME(i16, int16_t)
SAME(i32, int32_t)
SAME(i64, int64_t)
SAME(u8, uint8_t)
SAME(u16, uint16_t)
SAME(u32, uint32_t)
SAME(u64, uint64_t)
SAME(f32, float)
SAME(f64, double)
SAME(cstr, const char *)

#define EXPORT(declaration)                             \
    __attribute__((visibility("default"))) declaration; \
    declaration

EXPORT(size_t length_of(const void *data, size_t size))
{
    return data == NULL ? SIZE_MAX : size;
}
EXPORT(uint32_t last_byte(const uint8_t *data, uint32_t size))
{
    return size == 0 ? 256 : data[size - 1];
}
EXPORT(int64_t reverse(const uint8_t *data, size_t size, uint8_t *to, size_t capacity))
{
    if (size > capacity) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        to[i] = data[size - 1 - i];
    }
    return (int64_t)size;
}
EXPORT(uint32_t lies(uint8_t *to, size_t capacity))
{
    to[0] = 'x';
    return (uint32_t)capacity + 1;
}
EXPORT(void nothing(void)) {}
EXPORT(double sum(int8_t a, uint16_t b, int32_t c, uint64_t d, float e, double f, const char *g,
                  bool h))
{
    return a + b + c + (double)d + (double)e + f + (double)strlen(g) + h;
}
EXPORT(const char *a_quote(void))
{
    return "say \"\x01\n\" \\";
}
EXPORT(const char *no_text(void))
{
    return NULL;
}
EXPORT(const char *no_utf8(void))
{
    return "\xff";
}
EXPORT(double not_a_number(void))
{
    return __builtin_nan("");
}
__attribute__((visibility("default"))) extern int some_data;
int some_data = 1;
