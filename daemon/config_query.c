/* config_query.c - see config_query.h.
 *
 * Words and signs as MySQL cuts them under sql_mode '': 'texts' and "texts" with backslashes and doubled
 * quotes, `names`. What stands inside those is nobody's business. */
#include "config_query.h"

#include "base/str.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char CHANGES[] = "gives another answer at every read, and a row must always read the same";
static const char LOCKS[] = "locks the hospital's rows";

/* A word, or two in a row. `calls`: only before a parenthesis. */
static const struct {
    const char *first, *second;
    bool calls;
    const char *why;
} REFUSED[] = {
    {"into", NULL, false, "puts its result elsewhere"},
    {"for", "update", false, LOCKS},
    {"for", "share", false, LOCKS},
    {"lock", "in", false, LOCKS},
    {"procedure", "analyse", false, "is no query of rows"},
    {"sleep", NULL, true, "keeps the hospital's server waiting"},
    {"benchmark", NULL, true, "keeps the hospital's server busy"},
    {"get_lock", NULL, true, "takes a lock of the server"},
    {"release_lock", NULL, true, "gives up a lock of the server"},
    {"release_all_locks", NULL, true, "gives up locks of the server"},
    {"load_file", NULL, true, "reads the server's files"},
    {"nextval", NULL, true, "moves a sequence"},
    {"rand", NULL, true, CHANGES},
    {"uuid", NULL, true, CHANGES},
    {"now", NULL, true, CHANGES},
    {"sysdate", NULL, true, CHANGES},
    {"curdate", NULL, true, CHANGES},
    {"curtime", NULL, true, CHANGES},
    {"utc_date", NULL, true, CHANGES},
    {"utc_time", NULL, true, CHANGES},
    {"utc_timestamp", NULL, true, CHANGES},
    {"unix_timestamp", ")", true, CHANGES}, /* without an argument */
    {"current_date", NULL, false, CHANGES},
    {"current_time", NULL, false, CHANGES},
    {"current_timestamp", NULL, false, CHANGES},
    {"localtime", NULL, false, CHANGES},
    {"localtimestamp", NULL, false, CHANGES},
};

typedef enum TokenKind { TOKEN_END, TOKEN_WORD, TOKEN_SIGN, TOKEN_QUOTED, TOKEN_OPEN_QUOTE, TOKEN_COMMENT } TokenKind;
typedef struct Token {
    TokenKind kind;
    Str text;
} Token;

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

static bool begins_comment(const char *at) {
    return at[0] == '#' || (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

/* Behind the closing quote, or NULL. */
static const char *skip_quoted(const char *at) {
    char quote = *at++;
    for (; *at; at++) {
        if (*at == '\\' && quote != '`' && at[1])
            at++;
        else if (*at == quote && at[1] == quote)
            at++;
        else if (*at == quote)
            return at + 1;
    }
    return NULL;
}

static Token next_token(const char **at) {
    const char *begin = *at + strspn(*at, " \t\r\n\f\v"), *end = begin + 1;
    TokenKind kind = TOKEN_SIGN;
    if (!*begin) {
        kind = TOKEN_END, end = begin;
    } else if (begins_comment(begin)) {
        kind = TOKEN_COMMENT;
    } else if (*begin == '\'' || *begin == '"' || *begin == '`') {
        end = skip_quoted(begin);
        kind = end ? TOKEN_QUOTED : TOKEN_OPEN_QUOTE;
        end = end ? end : begin + strlen(begin);
    } else if (is_word_byte(*begin)) {
        kind = TOKEN_WORD;
        while (is_word_byte(*end))
            end++;
    }
    *at = end;
    return (Token){kind, {begin, (size_t)(end - begin)}};
}

static bool is_sign(Token token, char sign) { return token.kind == TOKEN_SIGN && token.text.at[0] == sign; }

typedef struct Checker {
    Mistakes *mistakes;
    Mark mark;
    int depth; /* of parentheses */
} Checker;

static void refuse_word(const Checker *c, Token word, const char *rest) {
    Token next = next_token(&rest), second = next.kind == TOKEN_SIGN ? next_token(&rest) : next;
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        if (!str_equal_nocase(word.text, str_of(REFUSED[i].first)) || (REFUSED[i].calls && !is_sign(next, '(')))
            continue;
        if (!REFUSED[i].second || str_equal_nocase(second.text, str_of(REFUSED[i].second)))
            mistake_add(c->mistakes, c->mark, "`query`: `%.*s` %s", STR_ARG(word.text), REFUSED[i].why);
    }
}

/* False when nothing behind it can be told any more. */
static bool check_token(Checker *c, Token token, bool is_after_dot, const char *rest) {
    c->depth += is_sign(token, '(') - is_sign(token, ')');
    if (token.kind == TOKEN_COMMENT)
        mistake_add(c->mistakes, c->mark, "`query`: comments are not possible; YAML has its own");
    else if (token.kind == TOKEN_OPEN_QUOTE)
        mistake_add(c->mistakes, c->mark, "`query`: a quote that begins does not end");
    else if (is_sign(token, ';'))
        mistake_add(c->mistakes, c->mark, "`query`: one statement, and no `;`");
    else if (is_sign(token, '@'))
        mistake_add(c->mistakes, c->mark, "`query`: variables of the session are not possible");
    else if (c->depth < 0)
        mistake_add(c->mistakes, c->mark, "`query`: a parenthesis closes that none opened");
    else {
        if (token.kind == TOKEN_WORD && !is_after_dot)
            refuse_word(c, token, rest);
        return true;
    }
    return false;
}

void query_check(Mistakes *mistakes, Mark mark, const char *query) {
    Checker checker = {mistakes, mark, 0};
    const char *at = query;
    Token token = next_token(&at);
    if (!str_equal_nocase(token.text, STR("select")) && !str_equal_nocase(token.text, STR("with"))) {
        mistake_add(mistakes, mark, "`query` must be one SELECT");
        return;
    }
    for (bool is_after_dot = false; token.kind != TOKEN_END; token = next_token(&at)) {
        if (!check_token(&checker, token, is_after_dot, at))
            return;
        is_after_dot = is_sign(token, '.');
    }
    if (checker.depth > 0)
        mistake_add(mistakes, mark, "`query`: a parenthesis that opens does not close");
}
