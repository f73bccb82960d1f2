/* resource.c: see resource.h. The host opens with its own rights what the operator granted: a
 * regular file for reading, a TCP connection to one named peer, or a copy of a shared library. The
 * worker gets the descriptor alone; its filter knows no call that opens, connects or names another
 * peer (while it loads, libraries of the system's folders can be opened). */
#include "resource.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_MS 2000

static sluice_status fail(const char *name, const char *what, char *text, size_t text_size)
{
    snprintf(text, text_size, "cannot open %.200s for the plugin: %s", name, what);
    return SLUICE_E_IO;
}

static sluice_status open_file(const char *name, int *ret_descriptor, char *text, size_t text_size)
{
    struct stat stat;
    int descriptor;

    if (name[0] != '/') {
        return fail(name, "the path is not absolute", text, text_size);
    }
    /* O_NONBLOCK: a FIFO put there must not hold the helper up. */
    descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) {
        return fail(name, strerror(errno), text, text_size);
    }
    if (fstat(descriptor, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        close(descriptor);
        return fail(name, "it is not a regular file", text, text_size);
    }
    *ret_descriptor = descriptor;
    return SLUICE_OK;
}

/* Reads the whole file; NULL when it cannot. */
static uint8_t *read_all(int descriptor, size_t *ret_size)
{
    struct stat stat;
    size_t used = 0;
    uint8_t *bytes = NULL;

    if (fstat(descriptor, &stat) == 0 && stat.st_size <= (off_t)STAGED_MODULE_SIZE_MAX) {
        bytes = malloc((size_t)stat.st_size + 1);
    }
    while (bytes != NULL && used < (size_t)stat.st_size) {
        const ssize_t got =
            pread(descriptor, bytes + used, (size_t)stat.st_size - used, (off_t)used);

        if (got <= 0) {
            free(bytes);
            return NULL;
        }
        used += (size_t)got;
    }
    *ret_size = used;
    return bytes;
}

/* A sealed copy, as of a module: whoever rewrites the file does not change what a worker runs. */
static sluice_status open_library(const char *name, int *ret_descriptor, char *text,
                                  size_t text_size)
{
    struct staged_module copy = {.fd = -1};
    char reason[SANDBOX_TEXT_SIZE_MAX] = "";
    uint8_t *bytes;
    size_t size = 0;
    sluice_status status;
    int file;

    *ret_descriptor = -1;
    if (strchr(name, '/') == NULL) {
        return SLUICE_OK;
    }
    status = open_file(name, &file, text, text_size);
    if (status != SLUICE_OK) {
        return status;
    }
    bytes = read_all(file, &size);
    close(file);
    if (bytes == NULL) {
        return fail(name, "it cannot be read, or is larger than 64 MiB", text, text_size);
    }
    status = staged_module_open((struct sluice_bytes){bytes, size}, &copy, reason, sizeof(reason));
    free(bytes);
    if (status != SLUICE_OK) {
        return fail(name, reason, text, text_size);
    }
    *ret_descriptor = copy.fd;
    return SLUICE_OK;
}

static bool wait_connected(int descriptor)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);

    if (poll(&wait, 1, CONNECT_MS) != 1) {
        errno = ETIMEDOUT;
        return false;
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        errno = error != 0 ? error : errno;
        return false;
    }
    return true;
}

/* A blocking descriptor, or -1 with errno. */
static int connect_one(const struct addrinfo *address)
{
    const int descriptor =
        socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (descriptor < 0) {
        return -1;
    }
    if ((connect(descriptor, address->ai_addr, address->ai_addrlen) == 0 ||
         (errno == EINPROGRESS && wait_connected(descriptor))) &&
        fcntl(descriptor, F_SETFL, 0) == 0) {
        return descriptor;
    }
    const int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

/* "host:port" or "[v6]:port" in two texts; false: it is neither. */
static bool split(char *name, const char **ret_host, const char **ret_port)
{
    char *colon = strrchr(name, ':');

    if (colon == NULL || colon == name || colon[1] == '\0') {
        return false;
    }
    *colon = '\0';
    *ret_port = colon + 1;
    *ret_host = name;
    if (name[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        *ret_host = name + 1;
    }
    return true;
}

static sluice_status open_connection(const char *name, int *ret_descriptor, char *text,
                                     size_t text_size)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char parts[SANDBOX_TEXT_SIZE_MAX + 1];
    const char *host;
    const char *port;
    int descriptor = -1;
    int error;

    snprintf(parts, sizeof(parts), "%s", name);
    if (!split(parts, &host, &port)) {
        return fail(name, "it is not host:port", text, text_size);
    }
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        return fail(name, gai_strerror(error), text, text_size);
    }
    for (const struct addrinfo *each = found; each != NULL && descriptor < 0;
         each = each->ai_next) {
        descriptor = connect_one(each);
    }
    error = errno;
    freeaddrinfo(found);
    if (descriptor < 0) {
        return fail(name, strerror(error), text, text_size);
    }
    *ret_descriptor = descriptor;
    return SLUICE_OK;
}

static sluice_status open_one(const struct sandbox_resource *resource, int *ret_descriptor,
                              char *text, size_t text_size)
{
    char name[SANDBOX_TEXT_SIZE_MAX + 1];

    if (resource->name.size == 0 || resource->name.size > SANDBOX_TEXT_SIZE_MAX ||
        memchr(resource->name.data, '\0', resource->name.size) != NULL) {
        snprintf(text, text_size, "cannot start a worker: a resource has no valid name");
        return SLUICE_E_INVALID;
    }
    snprintf(name, sizeof(name), "%.*s", (int)resource->name.size, resource->name.data);
    switch (resource->kind) {
    case SANDBOX_RESOURCE_FILE:
        return open_file(name, ret_descriptor, text, text_size);
    case SANDBOX_RESOURCE_LIBRARY:
        return open_library(name, ret_descriptor, text, text_size);
    default:
        return open_connection(name, ret_descriptor, text, text_size);
    }
}

sluice_status resources_open(const struct sandbox_resource *resources, uint32_t count,
                             int *ret_descriptors, char *text, size_t text_size)
{
    for (uint32_t i = 0; i < count; i++) {
        const sluice_status status = open_one(&resources[i], &ret_descriptors[i], text, text_size);

        if (status != SLUICE_OK) {
            resources_close(ret_descriptors, i);
            return status;
        }
    }
    return SLUICE_OK;
}

void resources_close(const int *descriptors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
}
