"""Any service: it knows nothing of licenses. `coditect-license run` around it holds the seat (see the Dockerfile)."""

import signal
import threading

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("serving", flush=True)
while not stop.wait(1):  # a signal that comes just before a wait begins is noticed after it
    pass
print("stopped", flush=True)
