// signalfd(2): signals as readable events.
#ifndef CLINUX_SIGNALFD_H
#define CLINUX_SIGNALFD_H

/// Blocks `count` signals in the calling thread and opens a signalfd of them, close-on-exec and non-blocking;
/// a descriptor, or -errno. Threads started earlier do not have them blocked.
int clinux_signalfd(const int *signals, unsigned count);

/// Takes one pending signal; its number, or -errno (-EAGAIN: none is pending).
int clinux_signalfd_read(int fd);
#endif
