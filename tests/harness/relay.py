"""Stands between the daemon and a hospital's server: passes bytes on, or ends a connection in the middle
of its TLS handshake, when the client's first message has come.

    end      in good order, without an answer
    reset    at once
    half     in good order, with the beginning of the server's answer
"""
import contextlib
import socket
import struct
import threading

PACKET_BYTES, HALF_BYTES = 65536, 200
ENDS = ("end", "reset", "half")


class Relay:
    """To the server on `port`. A context manager; `port` of its own is what the daemon is told. The first
    connections end as `ends` says, one each."""

    def __init__(self, port, ends=()):
        self.target = port
        self.ends = list(ends)
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with self.lock:
            end = self.ends.pop(0) if self.ends else None
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, contextlib.suppress(OSError):
            if end:
                self._cut(client, server, end)
            else:
                back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
                back.start()
                self._pass_on(client, server)
                back.join()

    @staticmethod
    def _cut(client, server, end):
        client.sendall(server.recv(PACKET_BYTES))  # the greeting
        server.sendall(client.recv(36))            # "I want TLS": a packet of this size, TLS's own come next
        hello = client.recv(PACKET_BYTES)
        if end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end == "half":
            server.sendall(hello)
            client.sendall(server.recv(PACKET_BYTES)[:HALF_BYTES])

    @staticmethod
    def _pass_on(origin, target):
        with contextlib.suppress(OSError):
            while data := origin.recv(PACKET_BYTES):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
