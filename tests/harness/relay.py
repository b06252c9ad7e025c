"""Stands between the daemon and a server: passes bytes on as the weather has it, or ends a connection in the middle
of its TLS handshake, when the client's first message has come.

    end      in good order, without an answer
    reset    at once
    half     in good order, with the beginning of the server's answer

Weather, which a test changes while connections live:

    delay_s, bytes_per_second, slice_bytes   every piece of an answer comes late, slowly, in slices
    cut_after(n)    the connection that has answered n more bytes is reset in the middle of its answer
    cut()           all connections are reset now
    silence()       nothing is passed on any more, in either direction, and new connections are taken and never
                    answered: what a broken path looks like; speak() ends it, and what was said meanwhile arrives
    hold()          new connections are taken, and led on only from lead_on() on; those there are go on as ever
    refuse()        nobody listens; accept() ends it
    target          the port that new connections are led to
"""
import contextlib
import socket
import struct
import threading
import time

PACKET_BYTES, HALF_BYTES = 65536, 200
ENDS = ("end", "reset", "half")


def _reset(link):
    """Ends it so that the other side reads an error, whoever waits for it in another thread."""
    with contextlib.suppress(OSError):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()


class Relay:
    """To the server on `port`. A context manager; `port` of its own is what the daemon is told. The first
    connections end as `ends` says, one each."""

    def __init__(self, port, ends=()):
        self.target = port
        self.ends = list(ends)
        self.delay_s, self.bytes_per_second, self.slice_bytes = 0, None, PACKET_BYTES
        self.bytes_left = None  # until an answer is cut
        self.speaking = threading.Event()
        self.speaking.set()
        self.leading = threading.Event()
        self.leading.set()
        self.n_held = 0  # connections that were taken and not led on
        self.links = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = None

    def __enter__(self):
        self.accept()
        return self

    def __exit__(self, *exception):
        self.refuse()
        self.speak()
        self.lead_on()

    # -- weather

    def accept(self):
        """Listens, again on the same port."""
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self._accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def refuse(self):
        if self.listener is None:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        self.listener = None
        self.cut()

    def cut(self):
        with self.lock:
            links, self.links = self.links, set()
        for link in links:
            _reset(link)

    def cut_after(self, n):
        self.bytes_left = n

    def silence(self):
        self.speaking.clear()

    def speak(self):
        self.speaking.set()

    def hold(self):
        self.leading.clear()

    def lead_on(self):
        self.n_held = 0
        self.leading.set()

    # -- connections

    def _accept(self, listener):
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with self.lock:
            end = self.ends.pop(0) if self.ends else None
            self.links.add(client)
            self.n_held += not self.leading.is_set()
        self.speaking.wait()
        self.leading.wait()
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            if end:
                self._cut_handshake(client, server, end)
                return
            with self.lock:
                self.links.add(server)
            back = threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True)
            back.start()
            self._pass_on(client, server, False)
            back.join()
        with self.lock:
            self.links -= {client, server}

    @staticmethod
    def _cut_handshake(client, server, end):
        client.sendall(server.recv(PACKET_BYTES))  # the greeting
        server.sendall(client.recv(36))            # "I want TLS": a packet of this size, TLS's own come next
        hello = client.recv(PACKET_BYTES)
        if end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end == "half":
            server.sendall(hello)
            client.sendall(server.recv(PACKET_BYTES)[:HALF_BYTES])

    def _pass_on(self, origin, target, is_answer):
        with contextlib.suppress(OSError):
            while data := origin.recv(self.slice_bytes if is_answer else PACKET_BYTES):
                self.speaking.wait()
                if is_answer and self._weather(data, target):
                    _reset(target)
                    return
                target.sendall(data)
        self.speaking.wait()  # an end is passed on no more than words are
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _weather(self, data, target):
        """True when the connection ends here, with the first half of the piece."""
        if self.delay_s or self.bytes_per_second:
            time.sleep(self.delay_s + (len(data) / self.bytes_per_second if self.bytes_per_second else 0))
        with self.lock:
            if self.bytes_left is None:
                return False
            self.bytes_left -= len(data)
            is_due = self.bytes_left < 0
            if is_due:
                self.bytes_left = None
        if is_due:
            target.sendall(data[:len(data) // 2])
        return is_due
