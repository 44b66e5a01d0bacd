"""The page in a real browser: Debian's packages chromium and chromium-driver, no driver is downloaded."""

import base64
import shutil

import pytest

from fakeface_jax.audit.page.render import render_page

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")

from selenium.webdriver.common.by import By  # noqa: E402, only where it is installed
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402

PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    None in PROGRAMS.values(), reason=f"needs {' and '.join(name for name, path in PROGRAMS.items() if not path)}")]


@pytest.fixture(scope="module")
def address(audit, folder):
  (folder / "report.html").write_text(render_page(audit, folder), encoding="utf-8")
  return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def chromium():
  options = webdriver.ChromeOptions()
  options.binary_location = PROGRAMS["chromium"]
  for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
    options.add_argument(argument)
  options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
  driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(PROGRAMS["chromedriver"]))
  yield driver
  driver.quit()


@pytest.fixture
def browser(chromium, address):
  """The page, just opened at 1280 x 900 in the light scheme; whatever it complains of fails the test."""
  show(chromium, 1280, 900)
  chromium.get(address)
  yield chromium
  assert [entry["message"] for entry in chromium.get_log("browser")] == []


def show(driver, width, height, scheme="light"):
  driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
      "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
  colours = {"name": "prefers-color-scheme", "value": scheme}
  driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [colours]})


def all_of(driver, selector):
  return driver.find_elements(By.CSS_SELECTOR, selector)


def column(driver, table, number):
  """The texts of a column of the table's sortable rows, in the order in which they stand."""
  return driver.execute_script(
      "return [...arguments[0].querySelectorAll('tbody:not(.apart) tr')].map(row => row.cells[arguments[1]].innerText)",
      table, number)


def shown(driver):
  return driver.execute_script(
      "return [...document.querySelectorAll('.case')].filter(one => one.checkVisibility()).map(one => one.dataset.id)")


def choose(driver, key, value):
  Select(all_of(driver, f"[data-{key}]" if key == "sort" else f"[data-filter={key}]")[0]).select_by_value(value)


def table_of(driver, caption):
  return next(table for table in all_of(driver, "table.sortable")
              if table.find_element(By.TAG_NAME, "caption").get_attribute("textContent").startswith(caption))


def test_a_table_is_sorted_by_the_column_that_is_clicked(browser, audit):
  table = table_of(browser, "All maps; chance")
  pointing = table.find_elements(By.CSS_SELECTOR, "thead th")[4]
  values = sorted((row["all"]["pointing"][0] for row in audit["localization"]["maps"]), reverse=True)
  written = [f"{100 * value:.1f}" for value in values]
  numbers = lambda: [text.replace("\N{NO-BREAK SPACE}", " ").split(" ")[0] for text in column(browser, table, 4)]
  assert pointing.get_attribute("aria-sort") is None
  for order, expected in (("descending", written), ("ascending", written[::-1])):
    pointing.find_element(By.TAG_NAME, "button").click()
    assert pointing.get_attribute("aria-sort") == order and numbers() == expected
    assert len(table.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1
  table.find_element(By.CSS_SELECTOR, "thead button").send_keys(Keys.ENTER)  # by name, from the keyboard
  names = column(browser, table, 0)
  assert names == sorted(names, key=str.lower) and names[0] == "Eigen-CAM"
  apart = table.find_elements(By.CSS_SELECTOR, "tbody.apart th")
  assert [row.text for row in apart] == ["chance", "centre", "edges"]


def test_what_is_not_known_is_sorted_last_either_way(browser):
  table = table_of(browser, "All maps; chance")
  browser.execute_script("const cell = arguments[0].querySelector('tbody:not(.apart) tr').cells[5];"
                         "cell.dataset.order = ''; cell.textContent = 'unknown'", table)
  button = table.find_elements(By.CSS_SELECTOR, "thead th button")[5]
  for _ in range(2):
    button.click()
    assert column(browser, table, 5).index("unknown") == 43


def test_cases_are_chosen_by_every_filter_and_by_words_of_their_path(browser, audit):
  items = audit["cases"]["items"]
  ids = lambda fits: [item["id"] for item in items if fits(item)]
  assert shown(browser) == ids(lambda item: True)
  for key, value in (("group", "hard_missed"), ("label", "real"), ("verdict", "fake"), ("difficulty", "hard")):
    choose(browser, key, value)
    assert shown(browser) == ids(lambda item, key=key, value=value: item[key] == value) != []
    choose(browser, key, "")
  choose(browser, "regions", "nose")
  choose(browser, "verdict", "real")
  wanted = ids(lambda item: "nose" in item["regions"] and item["verdict"] == "real")
  assert shown(browser) == wanted != []
  assert all_of(browser, "output")[0].text == (f"{len(wanted)} cases" if len(wanted) > 1 else "1 case")
  choose(browser, "regions", "")
  choose(browser, "verdict", "")
  all_of(browser, "[data-search]")[0].send_keys("TRUE_real")
  assert shown(browser) == ids(lambda item: item["group"] == "true_real")
  assert [group.get_attribute("data-group") for group in all_of(browser, ".group") if group.is_displayed()] == [
      "true_real"]
  all_of(browser, "[data-search]")[0].send_keys(" there is no such file")
  assert shown(browser) == [] and all_of(browser, "output")[0].text == "0 cases"


def test_cases_are_ordered_within_their_groups(browser, audit):
  choose(browser, "sort", "-probability")
  keys = list(audit["cases"]["groups"])
  expected = sorted(audit["cases"]["items"], key=lambda item: (keys.index(item["group"]), -item["probability"]))
  assert shown(browser) == [item["id"] for item in expected]
  choose(browser, "sort", "energy")
  energies = [case.get_attribute("data-energy") for case in all_of(browser, "[data-group=hard_caught] .case")]
  assert energies == sorted(energies, key=float)


def test_a_case_is_opened_with_its_facts_and_the_next_with_the_arrow_keys(browser, audit):
  items = audit["cases"]["items"]
  dialog = all_of(browser, "dialog")[0]
  panels = [case.get_attribute("src") for case in all_of(browser, ".panel")]
  at = lambda i: (
      dialog.is_displayed() and dialog.find_element(By.TAG_NAME, "h3").text == items[i]["path"]
      and dialog.find_element(By.CSS_SELECTOR, ".panel").get_attribute("src") == panels[i]
      and dialog.find_element(By.CSS_SELECTOR, ".place").text == f"{i + 1} of 40"
      and f"{100 * items[i]['probability']:.1f}" in dialog.text)
  assert not dialog.is_displayed()
  all_of(browser, ".case summary")[2].click()
  assert at(2)
  press = lambda key: browser.switch_to.active_element.send_keys(key)
  press(Keys.ARROW_RIGHT)
  assert at(3)
  press(Keys.ARROW_LEFT)
  press(Keys.ARROW_LEFT)
  assert at(1)
  dialog.find_element(By.CSS_SELECTOR, ".next").click()
  press(Keys.ARROW_RIGHT)
  assert at(3)
  press(Keys.ESCAPE)
  assert not dialog.is_displayed()
  assert browser.switch_to.active_element == all_of(browser, ".case summary")[3]  # where one was, to go on from there
  press(Keys.ENTER)
  assert at(3)
  dialog.find_element(By.CSS_SELECTOR, ".close").click()
  assert not dialog.is_displayed() and not all_of(browser, ".case[open]")


def test_the_arrow_keys_stay_among_the_cases_that_are_chosen(browser, audit):
  choose(browser, "group", "hard_missed")
  chosen = [item["path"] for item in audit["cases"]["items"] if item["group"] == "hard_missed"]
  browser.execute_script("document.querySelector('[data-group=hard_missed] summary').focus()")
  browser.switch_to.active_element.send_keys(Keys.ENTER)
  seen = []
  for _ in range(len(chosen) + 2):
    seen.append(all_of(browser, "dialog h3")[0].text)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
  assert seen == [*chosen, chosen[-1], chosen[-1]]
  browser.switch_to.active_element.send_keys(Keys.ESCAPE)


def test_the_page_is_as_wide_as_a_phone_and_its_tables_scroll_within(browser):
  show(browser, 375, 800)
  width = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
  assert width == [375, 375]
  browser.execute_script("document.querySelectorAll('details').forEach(more => more.open = true)")
  assert browser.execute_script("return document.documentElement.scrollWidth") == 375
  box = table_of(browser, "All maps; chance").find_element(By.XPATH, "..")
  assert box.get_property("scrollWidth") > box.get_property("clientWidth") + 100
  all_of(browser, ".case summary")[0].click()
  dialog = all_of(browser, "dialog")[0]
  assert dialog.get_property("scrollWidth") <= 375 and dialog.is_displayed()


def test_the_dark_scheme_is_dark_and_both_are_readable(browser):
  script = """
    const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(value => value / 255);
    const light = (colour) => channels(colour).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = getComputedStyle(document.body).backgroundColor;
    const contrast = (colour) => {
      const [a, b] = [light(paper), light(colour)].sort();
      return (b + 0.05) / (a + 0.05);
    };
    const texts = ['.verdict', '.verdict .of', 'small', '.subject', '.case .wrong', 'figcaption', 'nav a'];
    return [light(paper), ...texts.map(name => contrast(getComputedStyle(document.querySelector(name)).color))];
  """
  papers = []
  for scheme in ("light", "dark"):
    show(browser, 1280, 900, scheme)
    paper, *contrasts = browser.execute_script(script)
    assert min(contrasts) > 4.5, (scheme, contrasts)  # WCAG 2.2, 1.4.3
    papers.append(paper)
  assert papers[0] > 0.9 and papers[1] < 0.02


def test_it_prints_everything_but_what_is_for_the_screen(browser):
  pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
  assert pdf.startswith(b"%PDF-") and len(pdf) > 100_000
  browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
  visible = lambda selector: [one for one in all_of(browser, selector) if one.is_displayed()]
  assert not visible(".filters") and not visible("dialog") and not visible("nav")
  assert len(visible(".case .thumbnail")) == 40 and not visible(".panel")
  browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
  browser.execute_script("dispatchEvent(new Event('beforeprint'))")
  assert len(all_of(browser, "details.more[open]")) == 3
  browser.execute_script("dispatchEvent(new Event('afterprint'))")
  assert not all_of(browser, "details.more[open]")


def test_without_its_script_everything_is_there_to_read(browser, address, audit):
  browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
  try:
    browser.get(address)
    assert not all_of(browser, ".filters")[0].is_displayed() and len(shown(browser)) == 40
    case = all_of(browser, ".case")[0]
    case.find_element(By.TAG_NAME, "summary").click()
    panel = case.find_element(By.CSS_SELECTOR, ".panel")
    assert panel.is_displayed() and panel.size["width"] > 800
    assert all_of(browser, "table.sortable thead th")[0].text == "manipulated region"
  finally:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
