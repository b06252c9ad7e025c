/* options.c - see options.h. */
#include "options.h"

#include "config.h"

#include <getopt.h>

void options_print_error(const Error *err) {
    fprintf(stderr, "revcycled: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "  hint: %s\n", err->hint);
}

void options_print_usage(FILE *out) {
    fputs("revcycled --config FILE                  run the daemon\n"
          "revcycled --config FILE --check-config   show every mistake of the configuration\n"
          "revcycled --config FILE --once           run every job once, settle, publish, and stop\n"
          "revcycled --config FILE doctor           check everything a run needs, and say how to mend it\n"
          "revcycled --config FILE migrate          create or upgrade the PostgreSQL schemas\n"
          "revcycled --config FILE plan [JOB]       what the next run of each job would read, change and quarantine; writes nothing\n"
          "revcycled --config FILE publish [--rebuild]\n"
          "                                         publish now; or replace BigQuery's tables\n"
          "revcycled --config FILE reconcile [FEED] [--repair]\n"
          "                                         prove source = silver = BigQuery; or mend what differs\n"
          "revcycled --config FILE verify [SEAL:HMAC]\n"
          "                                         look through the audit trail; the seal was noted before\n"
          "revcycled --config FILE token add NAME --scope read,operate\n"
          "                                         make a token of the API and print it, once\n"
          "revcycled --config FILE routes           print the routes of the API\n"
          "revcycled --help | --version\n",
          out);
}

enum { OPTION_CHECK = 256, OPTION_ONCE };

bool options_parse(int argc, char **argv, Options *options, int *ret_status) {
    static const struct option LONG[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, OPTION_CHECK},
        {"once", no_argument, NULL, OPTION_ONCE}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},      {0},
    };
    *ret_status = EXIT_DONE;
    for (int option; (option = getopt_long(argc, argv, "+c:hv", LONG, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case OPTION_CHECK:
            options->check_config = true;
            break;
        case OPTION_ONCE:
            options->once = true;
            break;
        case 'h':
            options_print_usage(stdout);
            puts("\nThe keys of the configuration:\n");
            config_print_help(stdout);
            return false;
        case 'v':
            puts("revcycled " REVCYCLED_VERSION);
            return false;
        default:
            options_print_usage(stderr);
            *ret_status = EXIT_USAGE;
            return false;
        }
    }
    options->command = optind < argc ? argv[optind] : NULL;
    options->args = argv + optind + 1;
    options->n_args = optind < argc ? argc - optind - 1 : 0;
    if (options->config)
        return true;
    fputs("revcycled: no configuration is given\n  hint: revcycled --config /etc/revcycled/revcycled.yaml\n",
          stderr);
    *ret_status = EXIT_USAGE;
    return false;
}
