"""A TCP forwarder, for tests that send the same endpoint's visitors elsewhere."""

import contextlib
import socket
import threading


class Forwarder:
    """Listens on 127.0.0.1 and forwards every connection to the port `target` of that moment."""

    def __init__(self, port, target):
        self.target = target
        self.lock = threading.Lock()
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                inner = self.listener.accept()[0]
                with self.lock:
                    try:
                        outer = socket.create_connection(("127.0.0.1", self.target))
                    except OSError:  # nobody listens there yet: the visitor tries again
                        inner.close()
                        continue
                    self.connections += [inner, outer]
                for source, target in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self.copy, args=(source, target), daemon=True).start()

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def send_to(self, target):
        """From now on to that port; connections to the old one are cut."""
        with self.lock:
            self.target = target
            self.cut()

    def cut(self):
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections = []

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            self.cut()
