/* library_hostile.c: a plain shared library whose functions mean harm, for the rows "ffi …" of the
 * attack suite. Built twice: once with a constructor that opens a socket. It knows nothing of
 * Sluice, as the libraries that processor_ffi and ffi.bind load. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT(declaration)                             \
    __attribute__((visibility("default"))) declaration; \
    declaration

#ifdef LIBRARY_CONSTRUCTOR
__attribute__((constructor)) static void loaded(void)
{
    (void)!socket(AF_INET, SOCK_STREAM, 0);
}
#endif

EXPORT(int32_t harmless(int32_t x))
{
    return x;
}
EXPORT(int32_t bad_pointer(void))
{
    return *(volatile int32_t *)8;
}
/* Called as if it took a number: the number is no pointer. */
EXPORT(uint64_t wants_text(const char *text))
{
    return strlen(text);
}
EXPORT(int32_t run_shell(void))
{
    int (*run)(const char *) = system;

    return run("id > /tmp/sluice-selftest-owned");
}
EXPORT(int32_t open_file(void))
{
    return open("/etc/passwd", O_RDONLY);
}
EXPORT(int32_t open_socket(void))
{
    return socket(AF_INET, SOCK_STREAM, 0);
}
EXPORT(int32_t never_returns(void))
{
    for (volatile int32_t i = 0; i >= 0; i = 1) {
    }
    return 0;
}
EXPORT(int32_t ends_the_process(void))
{
    exit(5);
}
EXPORT(int32_t writes_beyond(uint8_t *to, size_t capacity))
{
    memset(to, 'x', capacity + 65536);
    return 1;
}
EXPORT(int32_t says_too_much(uint8_t *to, size_t capacity))
{
    to[0] = 'x';
    return (int32_t)capacity + 1000000;
}
EXPORT(const char *wild_text(void))
{
    return (const char *)16;
}
EXPORT(const char *endless_text(void))
{
    static char text[2u << 20];

    memset(text, 'x', sizeof(text));
    return text;
}
EXPORT(int32_t recurses(int32_t x))
{
    volatile char room[4096];

    room[0] = (char)x;
    return recurses(x + 1) + room[0];
}
