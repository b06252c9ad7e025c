/* options.h - the command line: what is asked for, and how mistakes in it are answered.
 *
 * Options stand before the command; what follows it is the command's. */
#pragma once
#include "base/error.h"

#include <stdio.h>

/* Exit codes: 3 when something is held for a person, 2 for a wrong command line or configuration. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_HELD = 3 };

/* Texts are argv's. */
typedef struct Options {
    const char *config;
    bool check_config, once, rebuild;
    const char *job; /* this one alone, and stop */
    bool reconcile, repair; /* the tables against silver and BigQuery, and stop */
    const char *feed;       /* of this one alone */
    const char *command;
    char **args; /* after the command */
    int n_args;
} Options;

/* True to go on; false to exit with *ret_status: --help and --version, which are answered, or a mistake, which is
 * said. */
bool options_parse(int argc, char **argv, Options *options, int *ret_status);
void options_print_usage(FILE *out);
/* On stderr, with the hint on a line of its own. */
void options_print_error(const Error *err);
