/* listener.c - see listener.h. */
#include "api/listener.h"

#include "base/own.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 128 };

typedef union Address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
} Address;

/* Nobody accepts behind it any more: left by a daemon that was killed. */
static bool is_stale(const Address *address) {
    struct stat status;
    if (stat(address->un.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    CLEANUP(fd_drop) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, &address->any, sizeof address->un) < 0 && errno == ECONNREFUSED;
}

static bool fail_to_listen(const char *listen, int number, Error *err) {
    error_set_errno(err, number, "cannot listen on %s", listen);
    if (number == EADDRINUSE)
        error_hint(err, "another process listens there; stop it or set server.listen to another "
                        "address");
    else if (number == EACCES)
        error_hint(err, "choose an address or a directory this account may use in server.listen");
    memcpy(err->state, STATE_CONFIG, sizeof err->state);
    return false;
}

static bool bind_and_listen(int fd, const char *listen_at, const Address *address, socklen_t size,
                            Error *err) {
    if (bind(fd, &address->any, size) < 0 || listen(fd, BACKLOG) < 0)
        return fail_to_listen(listen_at, errno, err);
    return true;
}

static int open_unix(const char *path, char *ret_address, Error *err) {
    Address address = {.un = {.sun_family = AF_UNIX}};
    if (strlen(path) >= sizeof address.un.sun_path) {
        error_set(err, STATE_CONFIG, "cannot listen on %s: the path is too long", path);
        return -1;
    }
    strcpy(address.un.sun_path, path);
    if (is_stale(&address))
        unlink(path);
    CLEANUP(fd_drop) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        fail_to_listen(path, errno, err);
        return -1;
    }
    mode_t before = umask(0117);
    bool bound = bind_and_listen(fd, path, &address, sizeof address.un, err);
    umask(before);
    if (!bound)
        return -1;
    snprintf(ret_address, LISTENER_ADDRESS_BYTES, "%s", path);
    int taken = fd;
    fd = -1;
    return taken;
}

/* "host:port" and "[host]:port" into their parts. */
static bool split(const char *listen, char *ret_host, size_t host_bytes, char *ret_port,
                  size_t port_bytes) {
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || !colon[1])
        return false;
    Str host = {listen, (size_t)(colon - listen)};
    if (host.at[0] == '[' && host.at[host.size - 1] == ']')
        host = (Str){host.at + 1, host.size - 2};
    int64_t port;
    if (!str_to_int64(str_of(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    snprintf(ret_port, port_bytes, "%d", (int)port);
    return (size_t)snprintf(ret_host, host_bytes, "%.*s", STR_ARG(host)) < host_bytes;
}

static bool is_loopback(const Address *address) {
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

static void describe(int fd, char *ret_address) {
    Address address = {0};
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    getsockname(fd, &address.any, &size);
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(ret_address, LISTENER_ADDRESS_BYTES, "%s:%d", host, ntohs(address.v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(ret_address, LISTENER_ADDRESS_BYTES, "[%s]:%d", host, ntohs(address.v6.sin6_port));
    }
}

static bool resolve(const char *listen, Address *ret_address, socklen_t *ret_size, Error *err) {
    char host[128], port[8];
    if (!split(listen, host, sizeof host, port, sizeof port)) {
        error_set(err, STATE_CONFIG, "cannot listen on %s: not an address with a port", listen);
        return error_hint(err, "server.listen is like 127.0.0.1:8080, [::1]:8080 or /run/x.sock");
    }
    struct addrinfo *found, want = {.ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int status = getaddrinfo(host, port, &want, &found);
    if (status != 0)
        return error_set(err, STATE_CONFIG, "cannot listen on %s: %s", listen,
                         gai_strerror(status));
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

int listener_open(const char *listen_at, ListenerReach reach, char *ret_address, Error *err) {
    if (listen_at[0] == '/')
        return open_unix(listen_at, ret_address, err);
    Address address;
    socklen_t size = 0;
    if (!resolve(listen_at, &address, &size, err))
        return -1;
    if (reach == LISTENER_LOCAL && !is_loopback(&address)) {
        error_set(err, STATE_CONFIG, "will not listen on %s without TLS", listen_at);
        error_hint(err, "set server.tls_certificate and server.tls_key, or listen on 127.0.0.1");
        return -1;
    }
    CLEANUP(fd_drop) int fd =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        fail_to_listen(listen_at, errno, err);
        return -1;
    }
    if (!bind_and_listen(fd, listen_at, &address, size, err))
        return -1;
    describe(fd, ret_address);
    int taken = fd;
    fd = -1;
    return taken;
}
