"""`scripts/page.py` in a real browser that can reach no other host: Debian's chromium and chromium-driver."""

import dataclasses
import json
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from fakeface_jax.data.faces.framing import FORMAT, Framing
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import load
from fakeface_jax.drawing.numerals import chance
from fakeface_jax.page.words import DOWNLOADS, HEADINGS, NO_FACE, WELCOME, WHOLE
from fakeface_jax.runs.reference import with_reference
from tests.conftest import ROOT

pytest.importorskip("gradio", reason="needs gradio: pip install '.[page]'")
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")

from selenium.webdriver.common.by import By  # noqa: E402, only where it is installed
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    None in PROGRAMS.values(), reason=f"needs {' and '.join(name for name, path in PROGRAMS.items() if not path)}")]
SECONDS = 120


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
  """A run whose training images had faces in their middle half."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(finished[0], workdir)
  framing = Framing(0.2, 0.2, 0.8, 0.8, 160, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.5, 0.5)))
  (workdir / "framing.json").write_text(json.dumps({"format": FORMAT, "framing": dataclasses.asdict(framing)}))
  return workdir


def start(run, *more):
  command = [sys.executable, ROOT / "scripts" / "page.py", f"--workdir={run}", "--nobrowser", *more]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def address(run):
  with start(run) as process:
    said = []
    for line in process.stdout:
      said.append(line)
      if found := re.search(r"http://\S+", line):
        break
    else:
      pytest.fail("".join(said))
    yield found[0]
    process.terminate()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
  return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads):
  options = webdriver.ChromeOptions()
  options.binary_location = PROGRAMS["chromium"]
  for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1600",
                   "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
    options.add_argument(argument)
  options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
  options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
  driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(PROGRAMS["chromedriver"]))
  yield driver
  driver.quit()


@pytest.fixture
def browser(chromium, address):
  """The page, just opened; a request to any other host fails the test."""
  chromium.get(address)
  wait(chromium, lambda driver: WELCOME in text(driver))
  yield chromium
  sent = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
  asked = {message["params"]["request"]["url"] for message in sent if message["method"] == "Network.requestWillBeSent"}
  assert [url for url in asked if not url.startswith((address, "data:", "blob:", "file:"))] == []


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  """{what: path} of two faces in a file with an odd name, a picture without a face, and a file that is none."""
  folder = tmp_path_factory.mktemp("photographs")
  face, table = Image.fromarray(astronaut()[:220, 110:330]), Image.fromarray(coffee())
  table.save(folder / "coffee.png")
  table.paste(face, (340, 20))
  table.paste(face.resize((150, 150)), (20, 230))
  table.save(folder / "<b>Ünï & co.jpg", quality=95)
  (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
  return {"faces": folder / "<b>Ünï & co.jpg", "none": folder / "coffee.png", "broken": folder / "broken.jpg"}


@pytest.fixture(scope="module")
def looks(run, photographs):
  """What Python says of the two faces."""
  return with_reference(load(run), run).look(read_image(photographs["faces"]))


def wait(driver, condition):
  return WebDriverWait(driver, SECONDS, poll_frequency=0.1).until(condition)


def text(driver):
  return driver.find_element(By.TAG_NAME, "body").text.replace("\u00a0", " ")


def upload(driver, path):
  driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))


def test_faces_are_judged_and_maps_switched_by_keyboard(browser, looks, photographs):
  upload(browser, photographs["faces"])
  said = lambda look: f"Probability of fake {chance(look.judgement.probability)}".replace("\u00a0", " ")
  wait(browser, lambda driver: said(looks[0]) in text(driver))
  card = browser.find_element(By.CSS_SELECTOR, "[role=status]")
  assert HEADINGS[looks[0].judgement.verdict] in card.text and looks[0].judgement.why in card.text
  view = lambda: browser.find_element(By.CSS_SELECTOR, ".ff-view img").get_attribute("alt")
  over = lambda: browser.find_elements(By.CSS_SELECTOR, ".ff-view img")[1].get_attribute("src")
  assert "over face 1 Grad-CAM of layer4_1/conv2" in view()
  before = over()
  method = browser.find_element(By.CSS_SELECTOR, "input[aria-label=Method]")
  method.send_keys(Keys.CONTROL, "a")
  method.send_keys("guided backprop")
  method.send_keys(Keys.ENTER)
  wait(browser, lambda driver: "over face 1 guided backprop" in view())
  assert over() != before
  browser.find_elements(By.CSS_SELECTOR, "input[type=radio]")[1].send_keys(Keys.SPACE)
  wait(browser, lambda driver: said(looks[1]) in text(driver) and "over face 2" in view())


def test_what_is_taken_along(browser, photographs, downloads):
  upload(browser, photographs["faces"])
  wait(browser, lambda driver: "Probability of fake" in text(driver))
  for label in DOWNLOADS:
    button = browser.find_element(By.XPATH, f"//button[contains(., '{label}')]")
    wait(browser, lambda _, button=button: button.is_enabled())
    button.click()
  files = lambda: sorted(path.name.split(".", 1)[1] for path in downloads.iterdir() if path.suffix != ".crdownload")
  deadline = time.monotonic() + SECONDS
  while files() != ["maps.npz", "panel.png", "report.html"] and time.monotonic() < deadline:
    time.sleep(0.2)
  assert files() == ["maps.npz", "panel.png", "report.html"]
  (report,) = downloads.glob("*.report.html")
  browser.get(report.as_uri())
  assert "face 1 of 2" in text(browser) and "How this was made" in text(browser)
  assert all(image.get_attribute("naturalWidth") != "0" for image in browser.find_elements(By.TAG_NAME, "img"))


def test_a_file_that_is_no_photograph_gets_a_sentence(browser, photographs):
  upload(browser, photographs["broken"])
  wait(browser, lambda driver: "broken.jpg:" in text(driver))
  assert "Probability of fake" not in text(browser)


def test_without_a_face_the_whole_is_judged_only_where_asked_for(browser, photographs):
  upload(browser, photographs["none"])
  wait(browser, lambda driver: NO_FACE in text(driver))
  assert "Probability of fake" not in text(browser)
  browser.find_element(By.XPATH, f"//button[contains(., '{WHOLE}')]").click()
  wait(browser, lambda driver: "Probability of fake" in text(driver))


def test_it_is_read_on_a_phone(browser, photographs):
  browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
      "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
  upload(browser, photographs["faces"])
  wait(browser, lambda driver: "Probability of fake" in text(driver))
  wide = browser.execute_script("return document.documentElement.scrollWidth")
  browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
  assert wide <= 390


def test_a_port_in_use_is_one_line(run):
  with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    with start(run, f"--port={port}") as process:
      assert process.wait(SECONDS) == 1
      assert process.stdout.read().splitlines()[-1] == (
          f"error: --port={port} is in use; choose another, or leave it out for one that is free")
