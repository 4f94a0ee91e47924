// The functions that need glibc's extensions. They are not inline in the headers: a header that defines _GNU_SOURCE
// gives the system's types another shape than Swift's own Glibc module has, and the two do not go together.
#define _GNU_SOURCE
#include "directory.h"
#include <dirent.h>
#include "errors.h"
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *clinux_error_description(int error) {
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

int clinux_openat(int directory, const char *name, int flags) {
    int fd = openat(directory, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_create(const char *path, unsigned mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    return fd < 0 ? -errno : fd;
}

int clinux_open_to_rewrite(const char *path, unsigned mode) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    return fd < 0 ? -errno : fd;
}

int clinux_exchange(const char *one, const char *other) {
    return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

int clinux_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int clinux_rewind(int directory) { return lseek(directory, 0, SEEK_SET) < 0 ? -errno : 0; }

ssize_t clinux_read_entries(int directory, void *buffer, size_t capacity) {
    ssize_t n = getdents64(directory, buffer, capacity);
    return n < 0 ? -errno : n;
}

size_t clinux_entry_at(const void *buffer, size_t offset, struct clinux_entry *entry) {
    const struct dirent64 *found = (const struct dirent64 *)((const char *)buffer + offset);
    entry->name = found->d_name;
    entry->name_length = strlen(found->d_name);
    entry->type = found->d_type;
    return offset + found->d_reclen;
}
