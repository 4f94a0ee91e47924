#define _GNU_SOURCE
#include "program.h"

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>
#include <unistd.h>

int clinux_start_program(char *const argv[], const int *descriptors, unsigned count) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -error;
    }
    // dup2 to itself would leave close-on-exec set; as an action of posix_spawn it clears it (glibc 2.29).
    for (unsigned i = 0; error == 0 && i < count; i++)
        error = posix_spawn_file_actions_adddup2(&actions, descriptors[i], descriptors[i]);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    if (error == 0) error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error == 0 ? pid : -error;
}
