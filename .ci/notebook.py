"""Runs scripts/colab.ipynb from top to bottom at a small size, as Colab would: `python .ci/notebook.py [OUT.ipynb]`."""

import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image
from skimage.data import astronaut

ROOT = Path(__file__).parent.parent
SETTINGS = "--config.epochs=2 --config.data.train_size=400 --config.data.test_split=test[:20%]"
EXPECTED = {  # cell: what its outputs are
    "device": r"JAX \d.* on 1 x cpu", "train": r"ROC AUC +0\.\d+", "curves": "image/png",
    "explain": r"(\d) of \1 images explained", "panels": "(?s)A fake that was caught.*image/png.*image/png",
    "audit": r"(?s)detection: .*localization: .*faithfulness: .*robustness: ",
    "photographs": r"(?s)text/html.*image/png.*notes \(1\)\.txt", "page": r"the page is at http://127\.0\.0\.1:\d+"}


def main(out=None):
  notebook, begun = nbformat.read(ROOT / "scripts" / "colab.ipynb", as_version=4), time.monotonic()
  cells = {cell.id: cell for cell in notebook.cells}
  with tempfile.TemporaryDirectory() as folder:
    pictures = Path(folder, "my photographs")
    pictures.mkdir()
    Image.fromarray(astronaut()[:400]).save(pictures / "Eileen Collins, 1999.jpg")
    (pictures / "notes (1).txt").write_text("no picture")
    given = {"run": f"{folder}/run", "settings": SETTINGS, "photographs": str(pictures)}
    for name, value in given.items():
      cells["settings"].source, count = re.subn(
          rf'(?m)^{name} = ".*?"', lambda _, name=name, value=value: f"{name} = {value!r}", cells["settings"].source)
      assert count == 1, name
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
  for name, pattern in EXPECTED.items():
    shown = "\n".join(_in_words(output) for output in cells[name].outputs)
    assert re.search(pattern, shown) and "error:" not in shown, f"{name}: expected {pattern}, got\n{shown}"
  if out:
    nbformat.write(notebook, out)
  print(f"the notebook ran in {time.monotonic() - begun:.0f} s")


def _in_words(output):
  if output.output_type == "stream":
    return output.text
  return "\n".join(f"{kind}: {value[:500]}" for kind, value in output.get("data", {}).items())


if __name__ == "__main__":
  main(*sys.argv[1:])
