// Listing a folder. `struct dirent` ends in an array that Swift imports as a tuple of 256 bytes; these hand out what
// is needed of an entry by pointer.
#ifndef CLINUX_DIRECTORY_H
#define CLINUX_DIRECTORY_H
#include <dirent.h>

/// The next entry, or null at the end (`*error` 0) or on failure (`*error` set).
const struct dirent *clinux_readdir(DIR *directory, int *error);

/// The name of an entry, ended by NUL.
const char *clinux_dirent_name(const struct dirent *entry);
#endif
