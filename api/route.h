/* route.h - the table of routes, and finding the one that is meant. openapi.json says the same to
 * clients; tests/unit/test_route.c compares the two. Pure; any thread. */
#pragma once
#include "api/call.h"

extern const Route ROUTES[];
extern const size_t N_ROUTES;

enum { ROUTE_ALLOW_BYTES = 64 };

typedef enum RouteOutcome { ROUTE_FOUND, ROUTE_NOT_FOUND, ROUTE_WRONG_METHOD } RouteOutcome;

/* HEAD is GET. With ROUTE_FOUND, *ret_route and `ret_segments` (2) are written; with
 * ROUTE_WRONG_METHOD, `ret_allow` ("GET, HEAD, POST"). */
RouteOutcome route_find(const char *method, const Uri *uri, const Route **ret_route,
                        Str *ret_segments, char *ret_allow);
bool route_knows_param(const Route *route, Str name);
