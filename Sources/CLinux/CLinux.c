// The functions that need glibc's extensions. They are not inline in the headers: a header that defines _GNU_SOURCE
// gives the system's types another shape than Swift's own Glibc module has, and the two do not go together.
#define _GNU_SOURCE
#include "directory.h"
#include "errors.h"
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

const char *clinux_error_description(int error) {
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

const char *clinux_error_name(int error) {
    const char *text = strerrorname_np(error);
    return text ? text : "?";
}

int clinux_openat(int directory, const char *name, int flags) {
    int fd = openat(directory, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

const struct dirent *clinux_readdir(DIR *directory, int *error) {
    errno = 0;
    const struct dirent *entry = readdir(directory);
    *error = errno;
    return entry;
}

const char *clinux_dirent_name(const struct dirent *entry) { return entry->d_name; }
