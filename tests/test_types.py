"""Type checkers see the types of what people call from Python."""

import pytest

USE = """
import numpy as np
import fakeface_jax
from fakeface_jax import Detector, UserError, load, read_image

detector: Detector = load("runs/one", batch_size=4)
image = read_image("face.jpg")
probabilities: np.ndarray = detector.predict([image])
for result in detector.explain([image], "real", methods={"occlusion": {"window": 24}}, layers=["layer4_2/conv3"]):
  print(result["gradcam"])
detector.explain([image], methods=["gradcam"])
detector.explain(np.stack([image]), methods="all")
verdicts = [look.judgement.verdict for look in detector.look(image, faces="largest") if look.judgement]
width: int = fakeface_jax.panels(detector, image, "face.jpg", methods=["occlusion"])[0].width
error: ValueError = UserError("what to do")
"""
MISUSES = (
    'load(3)', 'load("run", batch_size="4")', 'load("run").predict("face.jpg")',
    'load("run").explain([read_image("face.jpg")], "fakes")', 'load("run").explain([], layers=[4])',
    'fakeface_jax.read("x")', 'fakeface_jax.panels("runs/one", read_image("x"))')


@pytest.mark.slow
def test_right_uses_pass_and_wrong_ones_do_not(tmp_path):
  mypy = pytest.importorskip("mypy.api")
  file = tmp_path / "use.py"
  file.write_text(USE + "\n".join(MISUSES) + "\n")
  output, errors, _ = mypy.run(
      [str(file), "--ignore-missing-imports", "--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}"])
  wrong = {int(line.split(":")[1]) for line in output.splitlines() if ": error:" in line}
  first = USE.count("\n") + 1
  assert wrong == set(range(first, first + len(MISUSES))), output + errors
