#define _GNU_SOURCE
#include "options.h"
#include <getopt.h>
#include <string.h>

int clinux_next_option(int argc, char *const argv[], const struct clinux_option *options, int count,
                       const char **argument, int *next) {
    struct option table[32];
    if (count > 31) count = 31;
    memset(table, 0, sizeof table);
    for (int i = 0; i < count; i++) {
        table[i].name = options[i].name;
        table[i].has_arg = options[i].takes_argument ? required_argument : no_argument;
        table[i].val = options[i].character;
    }
    optarg = NULL;
    // "+": options end at the first word that is none; ":" is not set, so that getopt itself names the culprit.
    int character = getopt_long(argc, argv, "+h", table, NULL);
    *argument = optarg;
    *next = optind;
    return character;
}
