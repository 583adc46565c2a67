"""`python -m ml.serve`: serve the model in MODEL_DIR on PORT until SIGTERM."""

from __future__ import annotations

import gc
import logging
import os
import sys

import uvloop

from ml.serve.errors import CannotStart
from ml.serve.inferences import Inferences
from ml.serve.model import Model
from ml.serve.server import require_port, serve
from ml.serve.settings import Settings
from ml.serve.traces import Traces, are_asked_for


def main() -> int:
    """Serve; 0 after an orderly end, 1 when there is nothing to serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.of(os.environ)
        require_port(settings.host, settings.port)
        model = Model.load(settings.folder)
        inferences = Inferences(settings.log, model.record, model.columns) if settings.log else None
        traces = Traces(model.record, os.environ) if are_asked_for(os.environ) else None
        if inferences:
            inferences.start()
    except CannotStart as error:
        print(f"ml.serve: {error}", file=sys.stderr)
        return 1
    # What is there by now stays: the collector need not look through it again and again while requests come and go.
    gc.collect()
    gc.freeze()
    return uvloop.run(serve(model, settings, inferences, traces))


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Not sys.exit: a thread of Granian's that still hands objects back while Python is taken down aborts the process.
    os._exit(code)
