"""The server stands alone: it loads nothing of this repository but itself, and nothing that the image lacks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import grimp

from ml.serve import VERSION

# What the image installs, and what that cannot do without.
INSTALLED = {
    *("granian", "numpy", "onnxruntime", "orjson", "prometheus_client", "uvloop"),
    *("click", "flatbuffers", "google", "packaging"),
    *("arro3", "fsspec", "opentelemetry", "requests", "certifi", "charset_normalizer", "idna", "urllib3"),
    "typing_extensions",
}
AS_IN_THE_IMAGE = f"""
import sys
class Lacks:
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        known = name == "ml" or name.startswith("ml.serve") or top in {INSTALLED} or top in sys.stdlib_module_names
        if not known:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Lacks())
import ml.serve.__main__, ml.serve.health
heavy = [name for name in ("arro3", "fsspec", "opentelemetry", "torch") if name in sys.modules]
import ml.serve.log_writer
ml.serve.log_writer.Store("/nowhere")
ml.serve.__main__.Traces(ml.serve.model.Record("toy", "0" * 32, {{}}), {{}})
print(heavy)
"""


def test_it_loads_where_nothing_else_is_installed() -> None:
    command = [sys.executable, "-c", AS_IN_THE_IMAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_it_and_the_rest_do_not_know_each_other() -> None:
    graph = grimp.build_graph("ml", "ci", cache_dir=None)
    own = {"ml.serve"} | graph.find_descendants("ml.serve")
    for module in own:
        assert graph.find_modules_directly_imported_by(module) <= own, module
        assert graph.find_modules_that_directly_import(module) <= own, module


def test_it_names_the_version_of_the_project() -> None:
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"] == VERSION
