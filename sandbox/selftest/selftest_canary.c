/* selftest_canary.c: see selftest_canary.h. */
#include "selftest_canary.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char secret[] = "nobody may read or change this line\n";

static sluice_status fail(const char *what, char *text, size_t text_size)
{
    snprintf(text, text_size, "cannot make the canary: %s: %s", what, strerror(errno));
    return SLUICE_E_IO;
}

static int listen_local(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (listener >= 0 && (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
                          listen(listener, 16) != 0)) {
        close(listener);
        return -1;
    }
    return listener;
}

sluice_status canary_open(struct canary *canary, char *text, size_t text_size)
{
    const char *base = getenv("TMPDIR");
    int file;

    *canary = (struct canary){.listener = -1};
    snprintf(canary->folder, sizeof(canary->folder), "%.200s/sluice-selftest-XXXXXX",
             base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(canary->folder) == NULL) {
        canary->folder[0] = '\0';
        return fail("folder", text, text_size);
    }
    /* Open to all: the walls alone keep a plugin out. */
    (void)chmod(canary->folder, 0777);
    snprintf(canary->file, sizeof(canary->file), "%s/secret", canary->folder);
    file = open(canary->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 || fchmod(file, 0666) != 0 ||
        write(file, secret, sizeof(secret) - 1) != (ssize_t)sizeof(secret) - 1) {
        if (file >= 0) {
            close(file);
        }
        return fail("file", text, text_size);
    }
    close(file);
    canary->listener = listen_local();
    return SLUICE_OK;
}

void canary_close(struct canary *canary)
{
    if (canary->listener >= 0) {
        close(canary->listener);
        canary->listener = -1;
    }
    if (canary->folder[0] != '\0') {
        (void)unlink(canary->file);
        (void)rmdir(canary->folder);
        canary->folder[0] = '\0';
    }
}

static bool is_file_whole(const struct canary *canary)
{
    char text[sizeof(secret) + 1];
    struct stat stat;
    const int file = open(canary->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t size = -1;
    bool same = false;

    if (file < 0) {
        return false;
    }
    size = read(file, text, sizeof(text));
    same = size == (ssize_t)sizeof(secret) - 1 && memcmp(text, secret, (size_t)size) == 0 &&
           fstat(file, &stat) == 0 && (stat.st_mode & 07777) == 0666 && stat.st_nlink == 1;
    close(file);
    return same;
}

static bool is_folder_whole(const struct canary *canary)
{
    DIR *folder = opendir(canary->folder);
    uint32_t count = 0;

    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count == 3; /* with . and .. */
}

static bool was_connected(const struct canary *canary)
{
    const int peer =
        canary->listener < 0 ? -1 : accept4(canary->listener, NULL, NULL, SOCK_CLOEXEC);

    if (peer >= 0) {
        close(peer);
    }
    return peer >= 0;
}

const char *canary_fault(const struct canary *canary)
{
    if (!is_file_whole(canary)) {
        return "a file outside was changed";
    }
    if (!is_folder_whole(canary)) {
        return "a file outside was made";
    }
    if (access("/tmp/sluice-selftest-breach", F_OK) == 0) {
        return "a file was made in /tmp";
    }
    return was_connected(canary) ? "a connection was made" : NULL;
}
