/* contract.c - what is served as it was compiled in: the contract, and the dashboard.
 *
 * The dashboard is one page, one script and one style of our own, under a policy that lets nothing
 * else load or run. It asks for a token and keeps it in the tab's memory only. */
#include "api/resources.h"
#include "assets.h"

static const char POLICY[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "connect-src 'self'; img-src 'none'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'; "
                             "require-trusted-types-for 'script'";

static Handling serve(Call *call, const char *content_type, Str text) {
    reply_text(&call->reply, 200, content_type, text);
    reply_header(&call->reply, "Content-Security-Policy", POLICY);
    reply_header(&call->reply, "Referrer-Policy", "no-referrer");
    return CALL_ANSWERED;
}

Handling contract_openapi(Call *call, Error *err) {
    (void)err;
    return serve(call, "application/json", ASSET_OPENAPI_JSON);
}

Handling contract_dashboard(Call *call, Error *err) {
    (void)err;
    return serve(call, "text/html; charset=utf-8", ASSET_DASHBOARD_HTML);
}

Handling contract_script(Call *call, Error *err) {
    (void)err;
    return serve(call, "text/javascript; charset=utf-8", ASSET_DASHBOARD_JS);
}

Handling contract_style(Call *call, Error *err) {
    (void)err;
    return serve(call, "text/css; charset=utf-8", ASSET_DASHBOARD_CSS);
}
