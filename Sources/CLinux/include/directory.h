// Listing a folder. getdents64(2) itself: a stream of readdir's would take a descriptor of its own, and with it an open,
// a close and two more calls for every folder. `struct dirent` ends in an array that Swift imports as a tuple of 256
// bytes; these hand out what is needed of an entry by pointer.
#ifndef CLINUX_DIRECTORY_H
#define CLINUX_DIRECTORY_H
#include <stddef.h>
#include <sys/types.h>

/// An entry of a folder, valid as long as the buffer that it lies in.
struct clinux_entry {
    /// Ended by NUL.
    const char *name;
    size_t name_length;
    /// DT_DIR, DT_LNK, ...
    unsigned char type;
};

/// Goes back to the first entry. 0, or -errno.
int clinux_rewind(int directory);

/// Reads further entries into `buffer`, aligned for any type: their length, 0 at the end, or -errno.
ssize_t clinux_read_entries(int directory, void *buffer, size_t capacity);

/// Takes the entry at `offset` of what was read; returns the offset of the next.
size_t clinux_entry_at(const void *buffer, size_t offset, struct clinux_entry *entry);
#endif
