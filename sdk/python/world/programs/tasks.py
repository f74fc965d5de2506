"""An application of Celery whose tasks take the seat of their worker process once.

With TASKS_GUIDE, a file with the lines that the guide prints, those take it when the process begins.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from celery import Celery

from coditect_license import LicenseClient

folder = Path(os.environ["TASKS_FOLDER"])
app = Celery("tasks", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "store_processed": False,
    },
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
seat = None
# Two tasks of a pool of threads may begin at the same time.
first = threading.Lock()


held = []
if "TASKS_GUIDE" in os.environ:
    exec(Path(os.environ["TASKS_GUIDE"]).read_text())


@app.task
def work(number: int) -> str:
    global seat
    with first:
        if held:
            seat = held[0][1]
        elif seat is None:
            seat = LicenseClient().seat()
    return f"{os.getpid()} {seat.state.value}"
