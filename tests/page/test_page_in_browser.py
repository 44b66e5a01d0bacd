"""The page in a real browser that can reach no other host: Debian's chromium and chromium-driver."""

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="needs gradio: pip install '.[page]'")
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")

from selenium.webdriver.common.by import By  # noqa: E402, only where it is installed
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from fakeface_jax.drawing.numerals import chance  # noqa: E402
from fakeface_jax.page.answers import Answers  # noqa: E402
from fakeface_jax.page.app import launch, make_page  # noqa: E402
from fakeface_jax.page.words import DOWNLOADS, HEADINGS, NO_FACE, WELCOME  # noqa: E402

PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    None in PROGRAMS.values(), reason=f"needs {' and '.join(name for name, path in PROGRAMS.items() if not path)}")]
SECONDS = 120


@pytest.fixture(scope="module")
def answers(finished, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(finished[0], workdir)
  return Answers(workdir, 0.9)


@pytest.fixture(scope="module")
def address(answers):
  page = make_page(answers, "a test's detector")
  yield launch(page)
  page.close()


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
  assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  """{name: path} of a wide picture without a face, one with an odd name, and a file that is none."""
  folder = tmp_path_factory.mktemp("photographs")
  grass = np.random.default_rng(0).integers(40, 90, (90, 160, 3)).astype(np.uint8)
  Image.fromarray(grass).save(folder / "grass.png")
  Image.fromarray(grass[:, ::-1]).save(folder / "<b>Ünï & co.jpg")
  (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
  return {path.name: path for path in folder.iterdir()}


def wait(driver, condition):
  return WebDriverWait(driver, SECONDS, poll_frequency=0.1).until(condition)


def text(driver):
  return driver.find_element(By.TAG_NAME, "body").text


def upload(driver, path):
  driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))


def test_a_photograph_is_judged_and_its_map_switched_by_keyboard(browser, answers, photographs):
  path = photographs["<b>Ünï & co.jpg"]
  (look,) = answers.look(path).looks
  upload(browser, path)
  wait(browser, lambda driver: f"Probability of fake {chance(look.judgement.probability)}" in text(driver))
  card = browser.find_element(By.CSS_SELECTOR, "[role=status]")
  assert HEADINGS[look.judgement.verdict] in card.text and look.judgement.why in card.text
  assert not browser.find_elements(By.CSS_SELECTOR, ".ff-card b")
  view = lambda: browser.find_element(By.CSS_SELECTOR, ".ff-view img").get_attribute("alt")
  before, picture = view(), browser.find_elements(By.CSS_SELECTOR, ".ff-view img")[1].get_attribute("src")
  assert "Grad-CAM of layer4_1/conv2" in before
  method = next(one for one in browser.find_elements(By.CSS_SELECTOR, "input[role=listbox], input[role=combobox]")
                if one.get_attribute("aria-label") == "Method")
  method.send_keys(Keys.CONTROL, "a")
  method.send_keys("gradient")
  method.send_keys(Keys.ENTER)
  wait(browser, lambda driver: view() != before)
  assert browser.find_elements(By.CSS_SELECTOR, ".ff-view img")[1].get_attribute("src") != picture


def test_what_is_taken_along(browser, answers, photographs, downloads):
  upload(browser, photographs["grass.png"])
  wait(browser, lambda driver: "Probability of fake" in text(driver))
  buttons = wait(browser, lambda driver: [
      one for one in driver.find_elements(By.CSS_SELECTOR, "a[download]") if one.get_attribute("href")])
  assert len(buttons) == len(DOWNLOADS)
  for button in buttons:
    button.click()
  deadline = time.monotonic() + SECONDS
  names = {"grass.panel.png", "grass.maps.npz", "grass.report.html"}
  while {path.name for path in downloads.iterdir()} != names and time.monotonic() < deadline:
    time.sleep(0.2)
  assert {path.name for path in downloads.iterdir()} == names
  browser.get((downloads / "grass.report.html").as_uri())
  assert "grass.png" in text(browser) and "How this was made" in text(browser)
  assert all(image.get_attribute("naturalWidth") != "0" for image in browser.find_elements(By.TAG_NAME, "img"))


def test_a_file_that_is_no_photograph_gets_a_sentence(browser, photographs):
  upload(browser, photographs["broken.jpg"])
  wait(browser, lambda driver: "broken.jpg:" in text(driver))
  assert "Probability of fake" not in text(browser)


def test_without_a_face_the_whole_is_judged_only_where_asked_for(browser, answers, photographs, monkeypatch):
  monkeypatch.setattr(type(answers.detector), "look", without_faces(type(answers.detector).look))
  upload(browser, photographs["grass.png"])
  wait(browser, lambda driver: NO_FACE in text(driver))
  assert "Probability of fake" not in text(browser)
  browser.find_element(By.XPATH, "//button[contains(., 'Judge the whole picture')]").click()
  wait(browser, lambda driver: "Probability of fake" in text(driver))


def without_faces(look):
  return lambda detector, photograph, faces, confidence: (
      [] if faces == "auto" else look(detector, photograph, faces, confidence))


def test_it_is_read_on_a_phone(browser, photographs):
  browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
      "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
  upload(browser, photographs["grass.png"])
  wait(browser, lambda driver: "Probability of fake" in text(driver))
  wide = browser.execute_script("return document.documentElement.scrollWidth")
  browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
  assert wide <= 390
