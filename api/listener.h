/* listener.h - the socket the API is reached at.
 *
 * `listen` is "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (port 0: the system chooses) or the
 * path of a unix socket. Without TLS only loopback and unix sockets are opened: tokens would cross
 * the network in the clear. A stale unix socket nobody answers on is replaced; it is made with
 * mode 0660. Not a server: whoever accepts owns the descriptor. */
#pragma once
#include "base/error.h"

typedef enum ListenerReach { LISTENER_LOCAL, LISTENER_ANYWHERE } ListenerReach;

enum { LISTENER_ADDRESS_BYTES = 160 };

/* A bound, listening, non-blocking descriptor, or -1. `ret_address` gets what a client connects to:
 * "127.0.0.1:40123", "[::1]:8080" or "/run/revcycled/api.sock". */
int listener_open(const char *listen, ListenerReach reach, char *ret_address, Error *err);
