// getopt_long(3): its state is in global variables and its table in a struct of pointers, which Swift's concurrency
// rules and string lifetimes both refuse.
#ifndef CLINUX_OPTIONS_H
#define CLINUX_OPTIONS_H

/// A long option: its name, whether it takes an argument, and the character that stands for it.
struct clinux_option {
    const char *name;
    int takes_argument;
    int character;
};

/// The next option of `argv` among `count` (at most 31) long `options`: its character with `*argument` set, '?' for one
/// that is not known (getopt has said so on stderr), -1 at the end with `*next` set to the index of what follows.
int clinux_next_option(int argc, char *const argv[], const struct clinux_option *options, int count,
                       const char **argument, int *next);
#endif
