"""The page with many people at once: does each get their own right answer, how long do they wait, does memory grow?"""

import contextlib
import json
import re
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import requests

from benchmarks.commands import SCRIPTS
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import load
from fakeface_jax.drawing.numerals import chance
from fakeface_jax.errors import UserError
from fakeface_jax.runs.framing import with_framing
from fakeface_jax.runs.reference import with_reference

AT_ONCE = 50  # people
IN_A_ROW, EVERY = 500, 100  # uploads, and after how many memory is looked at
CONFIDENCE = 0.9
ASKED = 0  # the page's first event: a photograph was given
SECONDS = 600  # to wait for an answer


def bench_page(workdir, faces):
  """Asks `scripts/page.py` as a browser does.

  Args:
    workdir: a run's folder.
    faces: folders of photographs; the first 50 are asked for.
  Returns: (text, figures).
  """
  files = find_images(faces)[0][:AT_ONCE]
  if not files:
    raise UserError("say which photographs to ask for: --faces FOLDER")
  detector = with_reference(with_framing(load(workdir), workdir), workdir)  # as the page does
  right = {file: _said(detector.look(read_image(file), "auto", CONFIDENCE)) for file in files}
  with _server(workdir) as (address, process):
    first = _ask(address, files[0])[0]
    start = time.perf_counter()
    with ThreadPoolExecutor(len(files)) as people:
      answers = list(people.map(lambda file: _ask(address, file), files))
    together = time.perf_counter() - start
    wrong = sum(said != right[file] for file, (_, said) in zip(files, answers, strict=True))
    memory = []
    for number in range(IN_A_ROW):
      if number % EVERY == 0:
        memory.append(process.memory_info().rss)
      _ask(address, files[number % len(files)])
    memory.append(process.memory_info().rss)
  waits = [seconds for seconds, _ in answers]
  figures = {
      "first_answer_seconds": first, "people": len(files), "wrong": wrong, "answers_per_second": len(files) / together,
      "longest_wait_seconds": max(waits), "median_wait_seconds": float(np.median(waits)), "memory": memory}
  growth = ", ".join(f"{size / 2**20:,.0f}" for size in memory)
  return "\n".join([
      f"first answer {first:.1f} s after the upload",
      f"{len(files)} people at once: {wrong} wrong or lost, {figures['answers_per_second']:.1f} answers/s, longest wait"
      f" {max(waits):.1f} s, median {figures['median_wait_seconds']:.1f} s",
      f"memory over {IN_A_ROW} uploads, MiB after every {EVERY}: {growth}"]), figures


def _said(found):
  """What the page has to say of a photograph's first face: (verdict, chance), or None without a face."""
  return (found[0].judgement.verdict, chance(found[0].judgement.probability)) if found else None


@contextlib.contextmanager
def _server(workdir):
  command = [sys.executable, "-u", str(SCRIPTS / "page.py"), f"--workdir={workdir}", f"--confidence={CONFIDENCE}",
             "--nobrowser"]
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    try:
      address = next((found[0] for line in process.stdout if (found := re.search(r"http://\S+", line))), None)
      if address is None:
        raise UserError("scripts/page.py did not start; try it by itself")
      yield address.rstrip("/"), psutil.Process(process.pid)
    finally:
      process.terminate()


def _ask(address, file):
  """Uploads a file and waits for the verdict. Returns: (seconds, (verdict, chance) or None)."""
  start, person = time.perf_counter(), uuid.uuid4().hex
  with open(file, "rb") as content:
    uploaded = requests.post(f"{address}/gradio_api/upload", files={"files": content}, timeout=SECONDS).json()[0]
  photograph = {"path": uploaded, "orig_name": Path(file).name, "meta": {"_type": "gradio.FileData"}}
  question = {"data": [photograph, "gradcam", None], "fn_index": ASKED, "session_hash": person}
  requests.post(f"{address}/gradio_api/queue/join", json=question, timeout=SECONDS).raise_for_status()
  events = requests.get(
      f"{address}/gradio_api/queue/data", params={"session_hash": person}, stream=True, timeout=SECONDS)
  for line in events.iter_lines():
    event = json.loads(line.removeprefix(b"data: ")) if line else {}
    if event.get("msg") == "process_completed":
      seconds, text = time.perf_counter() - start, json.dumps(event["output"], ensure_ascii=False)
      found = re.search(r"<h2>([\w ]+)</h2>.*?Probability of fake (.+?%)\. ", text)
      return seconds, (found[1].lower(), found[2]) if found else None
  return time.perf_counter() - start, None
