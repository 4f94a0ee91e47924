// Files and folders: what of openat(2) does not import into Swift because it is variadic.
#ifndef CLINUX_FILE_H
#define CLINUX_FILE_H

/// openat(2), close-on-exec; a descriptor, or -errno.
int clinux_openat(int directory, const char *name, int flags);

/// open(2) of a file that is made, or emptied, for writing; never through a symbolic link. A descriptor, or -errno.
int clinux_create(const char *path, unsigned mode);

/// Opens a file for writing, made if it is not there and otherwise as long as it is; a descriptor, or -errno.
int clinux_open_to_rewrite(const char *path, unsigned mode);

/// renameat2(RENAME_EXCHANGE): two folders or files change places, and nobody sees a moment between. 0, or -errno.
int clinux_exchange(const char *one, const char *other);

/// fcntl(F_DUPFD_CLOEXEC); a descriptor, or -errno.
int clinux_duplicate(int descriptor);

/// pipe2(2), close-on-exec: `ends[0]` reads, `ends[1]` writes. 0, or -errno.
int clinux_pipe(int ends[2]);
#endif
