// Starting a program that inherits chosen descriptors.
#ifndef CLINUX_PROGRAM_H
#define CLINUX_PROGRAM_H

/// Starts the program `argv[0]`, looked for in PATH, with the caller's environment, with signals as a shell would have
/// them, and with `descriptors`, which stay close-on-exec here. Its pid, or -errno.
int clinux_start_program(char *const argv[], const int *descriptors, unsigned count);
#endif
