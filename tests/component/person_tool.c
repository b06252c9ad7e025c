/* person_tool - settles and decisions about persons, for tests/component/test_persons.py.
 *
 *     person_tool DSN settle [NAME ATTRIBUTE,ATTRIBUTE]…   one settle, by these rules or by those built in
 *     person_tool DSN split PERSON SYSTEMS IDS             array literals
 *     person_tool DSN merge PERSON OTHER
 *     person_tool DSN dismiss REVIEW
 *
 * Prints "rows_read rows_changed" or "nothing"; of a decision its outcome (0: decided) and the id. Exit 0 or 1. */
#include "base/own.h"
#include "storage/person.h"
#include "storage/settle.h"

#include <stdio.h>
#include <stdlib.h>

enum { RULES_MAX = 16, MATCH_MAX = 8 };

static PersonRule read_rule(Arena *arena, const char *name, char *list) {
    const char **match = ARENA_ARRAY(arena, const char *, MATCH_MAX);
    size_t n = 0;
    for (char *at = strtok(list, ","); at && n < MATCH_MAX; at = strtok(NULL, ","))
        match[n++] = at;
    return (PersonRule){name, match, n};
}

static bool settle_once(Pg *pg, Arena *arena, int n_args, char **args, Error *err) {
    PersonRule rules[RULES_MAX];
    size_t n = 0;
    for (int i = 0; i + 1 < n_args && n < RULES_MAX; i += 2)
        rules[n++] = read_rule(arena, args[i], args[i + 1]);
    SettleOptions options = {.run_id = 812, .fiscal_year_start_month = 1, .arena = arena,
                             .person_rules = n > 0 ? rules : PERSON_RULES,
                             .n_person_rules = n > 0 ? n : N_PERSON_RULES};
    SettleOutcome outcome;
    if (!settle(pg, &options, &outcome, err))
        return false;
    if (outcome.was_due)
        printf("%lld %lld\n", (long long)outcome.rows_read, (long long)outcome.rows_changed);
    else
        printf("nothing\n");
    return true;
}

static bool decide(Pg *pg, Arena *arena, bool is_split, char **args, Error *err) {
    PersonDecision decision = {.person_id = args[0], .actor = "tester", .arena = arena, .other_id = args[1],
                               .source_systems = args[1], .source_ids = args[2]};
    PersonDecided decided;
    const char *id = "";
    if (!(is_split ? person_split : person_merge)(pg, &decision, &decided, &id, err))
        return false;
    printf("%d %s\n", decided, decided == PERSON_DECIDED ? id : "");
    return true;
}

static bool dismiss(Pg *pg, const char *review, Error *err) {
    PersonDecided decided;
    if (!person_dismiss(pg, strtoll(review, NULL, 10), "tester", &decided, err))
        return false;
    printf("%d\n", decided);
    return true;
}

int main(int argc, char **argv) {
    Error err = {0};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_drop) Pg *pg = argc >= 3 ? pg_open(argv[1], "person_tool", 0, &err) : NULL;
    bool is_split = argc == 6 && strcmp(argv[2], "split") == 0, is_merge = argc == 5 && strcmp(argv[2], "merge") == 0;
    bool is_dismiss = argc == 4 && strcmp(argv[2], "dismiss") == 0;
    bool fine = pg && (is_dismiss            ? dismiss(pg, argv[3], &err)
                       : is_split || is_merge ? decide(pg, arena, is_split, argv + 3, &err)
                                              : settle_once(pg, arena, argc - 3, argv + 3, &err));
    if (!fine)
        fprintf(stderr, "%s %s\n%s\n", err.state, err.text, err.hint);
    return fine ? 0 : 1;
}
