import base64
import copy
import json
import re
from html.parser import HTMLParser

import pytest

from fakeface_jax.audit.page.render import render_page
from fakeface_jax.drawing.numerals import NONE
from tests.audit.audits import make_audit, write_pictures

HOSTILE = """</script><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;"' onmouseover="alert(3)"""
UNCLOSED = ("meta", "link", "img", "input", "br", "wbr", "hr")


class Page(HTMLParser):
  """What a browser would make of the page: elements as (name, attributes), and text by section and by table row."""

  def __init__(self, html):
    super().__init__()
    self.elements, self.open, self.text, self.sections, self.tables = [], [], "", {}, {}
    self.feed(html)
    self.close()
    assert self.open == []  # every element is closed, in its turn

  def handle_starttag(self, name, attributes):
    attributes = dict(attributes)
    self.elements.append((name, attributes))
    if name not in UNCLOSED:
      self.open.append((name, attributes.get("id")))
    if name == "table":
      self.rows, self.caption = [], ""
    elif name == "tr":
      self.rows.append([])
    elif name in ("td", "th"):
      self.rows[-1].append("")

  def handle_endtag(self, name):
    assert self.open.pop()[0] == name
    if name == "table":
      self.tables[self.caption] = self.rows

  def handle_data(self, data):
    names = [name for name, _ in self.open]
    if "script" in names or "style" in names:
      return
    self.text += data
    for name, key in self.open:
      if name in ("section", "header"):
        self.sections[key] = self.sections.get(key, "") + data
    if "caption" in names:
      self.caption += data
    elif "td" in names or ("th" in names and "table" in names):
      self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def html(audit, folder):
  return render_page(audit, folder)


@pytest.fixture(scope="module")
def page(html):
  return Page(html)


def share(interval):
  value, low, high = (f"{100 * number:.1f}" for number in interval)
  return f"{value}\N{NO-BREAK SPACE}% {low}\N{EN DASH}{high}"


def number(interval):
  return "{:.3f} {:.3f}\N{EN DASH}{:.3f}".format(*interval)


def difference(interval, percent):
  value, low, high = (f"{100 * bound:+.1f}" if percent else f"{bound:+.3f}" for bound in interval)
  return f"{value} {low} to {high}".replace("-", "\N{MINUS SIGN}")


WAYS = {"energy": share, "pointing": share, "iou": number, "rank_accuracy": share, "pixel_auc": number}


def table(page, start):
  (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith(start)]
  return [[" ".join(cell.split(" ")).strip() for cell in row] for row in rows]


def test_the_verdicts_and_key_figures_are_at_the_top(audit, page):
  top = page.sections["top"]
  order = [top.index(text) for text in (
      "runs/faces", "Does it look where the fake is?", audit["localization"]["verdict"], audit["detection"]["verdict"],
      audit["faithfulness"]["verdict"], audit["robustness"]["verdict"], "F1, both classes")]
  assert order == sorted(order)
  scores = audit["detection"]["scores"]
  for name in ("f1_macro", "roc_auc"):
    assert number([scores[name], *scores["intervals"][name]]) in top
  assert share(audit["detection"]["thresholds"][1]["recall"]) in top  # of 5 % false alarms
  assert share(audit["localization"]["best"]["energy"]) in top and "chance 14.1\N{NO-BREAK SPACE}%" in top
  assert "edges 20.2\N{NO-BREAK SPACE}%" in top


def test_every_map_is_in_the_tables_with_every_figure(audit, page):
  maps = audit["localization"]["maps"]
  assert len(maps) == 44
  best_first = sorted(maps, key=lambda row: -row["all"]["energy"][0])
  rows = table(page, "All maps; chance")
  for row, of in zip(rows[1:4], audit["localization"]["baselines"].values(), strict=True):
    assert row[3:8] == [write(of["all"][measure]) for measure, write in WAYS.items()]
  for row, one in zip(rows[4:], best_first, strict=True):
    trial = {"layercam": "failed: removal", "guided_backprop": "failed: weights"}.get(one["method"], "passed")
    assert row == [one["title"], one["layer"] or "", trial, *(write(one["all"][name]) for name, write in WAYS.items()),
                   "480", f"{100 * one['empty']:.1f}\N{NO-BREAK SPACE}%", difference(one["trials"]["deletion"], False)]
  for row, one in zip(table(page, "Differences")[1:], best_first, strict=True):
    assert row[2:] == [
        difference(one[over][name], write is share) for over in ("over_chance", "over_centre", "over_edges")
        for name, write in WAYS.items()]
  for row, one in zip(table(page, "All maps: 371")[5:], best_first, strict=True):
    assert row[2:] == [write(one[side][name]) for name, write in WAYS.items() for side in ("caught", "missed")]
  assert rows[0][2] == "trials" and rows[0][-1] == "gain of removal"
  assert [row[:2] for row in table(page, "The best layer")[5:]] == [
      ["HiResCAM", "layer4_2/conv3"], ["Grad-CAM", "layer4_2/conv3"], ["LayerCAM", "layer4_2/conv3"],
      ["Grad-CAM++", "layer4_2"], ["Eigen-CAM", "layer4_2/conv3"], ["guided backprop", ""]]


def test_scores_thresholds_and_groups_are_in_tables_the_worst_group_first(audit, page):
  detection = audit["detection"]
  scores = detection["scores"]
  rows = {row[0]: row[1:] for row in table(page, "Scores with")}
  assert rows["ROC AUC"] == number([scores["roc_auc"], *scores["intervals"]["roc_auc"]]).split(" ")
  assert " ".join(rows["recall of fakes"]) == share([scores["recall_fake"], *scores["intervals"]["recall_fake"]])
  assert len(rows) == 13
  counts = [[cell.split(" ")[0] for cell in row[1:]] for row in table(page, "Confusion")[1:]]
  assert counts == [[str(count) for count in row] for row in scores["confusion_matrix"]]
  for row, of in zip(table(page, "Thresholds")[1:], detection["thresholds"], strict=True):
    assert row[1:] == [f"{of['threshold']:.3f}", "400", share(of["recall"]), share(of["false_alarm_rate"])]
  sure = ("coverage", "coverage_real", "coverage_fake", "cannot_tell", "right")
  assert table(page, "Verdicts at 90")[1] == [share(detection["conformal"][name]) for name in sure]
  for title, key in (("manipulated region", "regions"), ("difficulty", "difficulty"),
                     ("changed share of the picture", "size"), ("source", "source")):
    groups = sorted(detection["groups"][key], key=lambda row: row["recall"][0])
    assert [row[:4] for row in table(page, f"Recall of fakes by {title}")[1:]] == [
        [row["name"].replace("_", " "), str(row["images"]), str(row["caught"]), share(row["recall"])] for row in groups]
  assert "most often missed: left eye, where 20 of 60 fakes were caught, 33.3" in page.sections["detection"]


def test_faithfulness_robustness_and_parts_of_the_face_are_in_tables(audit, page):
  maps = audit["faithfulness"]["maps"]
  rows = {row[0]: row for row in table(page, "Areas")[1:]}
  assert list(rows)[:3] == ["random", "random patches", "centre"] and len(rows) == len(maps) == 12
  for one in maps:
    assert rows[one["title"]][2:6] == [
        number(one[way][fill]["auc"]) for way in ("deletion", "insertion") for fill in ("inpaint", "blur")]
  assert rows["guided backprop"][-1].startswith("fails") and rows["Grad-CAM"][-1].startswith("passes")
  assert [row[4] for row in table(page, "Mean rank")[1:]] == [
      f"{of['same_when_random']:.3f}" for of in audit["faithfulness"]["sanity"]["methods"].values()]
  measures = audit["faithfulness"]["measures"]
  assert measures["verdict"] in page.sections["faithfulness"]
  rows = table(page, "Means over 16 caught fakes")
  assert rows[0][2:] == list(measures["measures"].values())
  shown = lambda row: [NONE if row[name][0] is None else number(row[name]) for name in measures["measures"]]
  assert [row[2:] for row in rows[1:]] == [shown(row) for row in [*measures["maps"][-3:], *measures["maps"][:-3]]]
  robustness = audit["robustness"]
  levels = [level for corruption in robustness["corruptions"] for level in corruption["levels"]]
  for row, level in zip(table(page, "Scores at each level")[1:], [robustness["clean"], *levels], strict=True):
    assert row[-7:-2] == [number(level["f1_macro"]), number(level["roc_auc"]), share(level["recall_fake"]),
                          share(level["false_alarm_rate"]), share(level["flipped"])]
    assert row[-2:] == [f"{100 * level[name]:.1f}\N{NO-BREAK SPACE}%" for name in ("real_to_fake", "fake_to_real")]
  regions = audit["localization"]["face_regions"]
  for row, of in zip(table(page, "Share of the energy")[2:], regions["rows"], strict=True):
    assert row == [of["manipulated"].replace("_", " "), str(of["images"]), *map(share, of["share"].values())]
  painted = regions["painted"]["regions"]
  assert [[row[0], *row[1:4]] for row in table(page, "Probability of fake of 88 caught fakes")[1:]] == [
      [name.replace("_", " "), number(of["inside"]), number(of["elsewhere"]), difference(of["drop"], False)]
      for name, of in sorted(painted.items(), key=lambda item: -item[1]["drop"][0])]


def test_every_case_is_in_its_group_with_its_pictures_once(audit, page, html, folder):
  cases = [attributes for name, attributes in page.elements if attributes.get("class") == "case"]
  items = audit["cases"]["items"]
  assert sorted(case["data-id"] for case in cases) == [item["id"] for item in items] and len(items) == 40
  of = {case["data-id"]: case for case in cases}
  for item in items:
    case = of[item["id"]]
    assert (case["data-group"], case["data-label"], case["data-path"]) == (item["group"], item["label"], item["path"])
    assert json.loads(case["data-regions"]) == item["regions"]
    assert float(case["data-probability"]) == item["probability"]
    for kind in ("thumbnail", "panel"):
      assert html.count(base64.b64encode((folder / item[kind]).read_bytes()).decode()) == 1
  for group in audit["cases"]["groups"].values():
    assert f"shown of {group['images']}" in page.sections["cases"]


def test_nothing_is_asked_of_anybody(html, page):
  policy = next(attributes["content"] for name, attributes in page.elements
                if attributes.get("http-equiv") == "Content-Security-Policy")
  assert policy.split("; ")[:4] == [
      "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "script-src 'unsafe-inline'"]
  for name, attributes in page.elements:
    for key in ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "background"):
      assert attributes.get(key, "#").startswith(("data:", "#")), (name, attributes)
  outside = re.sub(r"data:[^\"')]*", "", html)
  assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest", outside)


def test_every_picture_and_chart_has_words_for_who_does_not_see_it(page):
  charts = [attributes for name, attributes in page.elements if name == "svg" and "aria-hidden" not in attributes]
  assert len(charts) == 4 + 1 + (4 + 1) + 6
  assert all(chart["role"] == "img" and len(chart["aria-label"]) > 40 for chart in charts)
  assert "HiResCAM at most 42.8" in charts[4]["aria-label"] and "chance 14.1" in charts[4]["aria-label"]
  pictures = [attributes for name, attributes in page.elements if name == "img"]
  assert len(pictures) == 80 and all(len(picture["alt"]) > 20 for picture in pictures)
  tables = [name for name, _ in page.elements if name in ("table", "caption")]
  assert tables == ["table", "caption"] * (len(tables) // 2) and len(page.tables) == len(tables) // 2
  assert all("scope" in attributes for name, attributes in page.elements if name == "th")


def test_names_that_cannot_be_shown_are_written_as_escapes(audit, folder):
  renamed = copy.deepcopy(audit)
  renamed["cases"]["items"][0]["path"] = "test/fake/Mu\udcf1oz\n\u202egpj \u05d0\U0001f600.jpg"
  html = render_page(renamed, folder)
  assert "Mu\\xf1oz\\n\\u202egpj \u05d0\U0001f600.jpg" in html and html.encode().decode() == html


def hostile(part):
  """The part with every text of a user, a file or a data set replaced."""
  if isinstance(part, dict):
    kept = ("id", "label", "verdict", "group", "method", "thumbnail", "panel", "steps")
    return {key: value if key in kept else hostile(value) for key, value in part.items()}
  if isinstance(part, list):
    return [hostile(value) for value in part]
  return HOSTILE if isinstance(part, str) else part


def test_names_that_look_like_markup_are_only_names(audit, folder):
  bad = hostile(audit)
  for part in ("localization", "detection", "faithfulness", "robustness"):
    bad[part]["verdict"] = HOSTILE
  html = render_page(bad, folder)
  page = Page(html)
  assert [name for name, _ in page.elements].count("script") == 1
  assert not [attributes for _, attributes in page.elements if any(key.startswith("on") for key in attributes)]
  cases = [attributes for _, attributes in page.elements if attributes.get("class") == "case"]
  assert {case["data-path"] for case in cases} == {HOSTILE}
  assert {name for case in cases for name in json.loads(case["data-regions"])} == {HOSTILE}
  assert page.text.count(HOSTILE) > 100


PARTS = [
    "detection", "detection/thresholds", "detection/conformal", "localization", "localization/best",
    "localization/face_regions", "faithfulness", "faithfulness/sanity", "robustness", "cases"]


@pytest.mark.parametrize("path", PARTS)
def test_a_missing_part_says_why_once_and_the_rest_is_there(audit, folder, path):
  reason = "there is none because of a <test>"
  *parents, last = path.split("/")
  changed = json.loads(json.dumps(audit))
  part = changed
  for parent in parents:
    part = part[parent]
  part[last] = {"reason": reason}
  page = Page(render_page(changed, folder))
  section = path.split("/")[0]
  assert page.sections[section].count(reason) == 1
  assert page.sections["reading"].count(reason) == 1  # what was left out
  for other in {"detection", "localization", "faithfulness", "robustness", "cases"} - {section}:
    assert reason not in page.sections[other] and len(page.sections[other]) > 1000


def without(part, nothing, key=""):
  """The part with every measured figure replaced by `nothing`."""
  if isinstance(part, dict):
    return {name: without(value, nothing, name) for name, value in part.items()}
  if isinstance(part, list) and key not in ("fractions", "edges", "confusion_matrix"):
    return [without(value, nothing, key) for value in part]
  return nothing if isinstance(part, float) and key not in ("level", "wanted", "low", "high") else part


def test_figures_that_are_not_there_are_dashes_with_the_reason(audit, folder):
  empty = without(audit, None)
  scores = empty["detection"]["scores"]
  scores["reasons"] = {"roc_auc": "there is no fake image"}
  scores["intervals"]["roc_auc"] = None
  for corruption in empty["robustness"]["corruptions"]:
    for level in corruption["levels"]:
      level |= {"f1_macro": None, "roc_auc": None, "recall_fake": None}
  for row in empty["localization"]["maps"]:
    row["missed"] = None
  html = render_page(empty, folder)
  page = Page(html)
  assert ["ROC AUC", "\N{EN DASH}", "there is no fake image"] in table(page, "Scores with")
  assert "\N{EN DASH} there is no fake image" in page.sections["top"]
  assert not re.search(r"\b(None|nan|inf|undefined)\b", page.text)
  coordinates = [value for name, attributes in page.elements if name in ("line", "circle", "polyline", "rect")
                 for value in attributes.values()]
  assert not [value for value in coordinates if "nan" in value or "None" in value or "inf" in value]
  bad = without(audit, float("nan"))
  bad["detection"]["scores"]["reasons"] = scores["reasons"]
  for value in ("nan", "NaN", "Infinity"):
    assert not re.search(rf"\b{value}\b", Page(render_page(bad, folder)).text)


def test_an_audit_without_groups_levels_and_cases_is_still_a_page(audit, folder):
  changed = json.loads(json.dumps(audit))
  changed["detection"]["groups"] = {"regions": [], "difficulty": [], "size": [], "source": []}
  changed["detection"]["thresholds"] = []
  changed["localization"]["maps"] = [row for row in changed["localization"]["maps"] if not row["layer"]]
  changed["localization"] |= {"missed": 0}
  changed["robustness"]["corruptions"] = []
  changed["cases"] |= {"groups": {}, "items": []}
  page = Page(render_page(changed, folder))
  assert "Which fakes are missed" not in page.text and "No image was chosen" in page.sections["cases"]
  assert "All of the masked fakes were caught" in page.sections["localization"]
  assert "recall of fakes at" not in page.sections["top"]


def test_a_picture_that_is_gone_is_said_in_its_place(audit, tmp_path):
  write_pictures(audit, tmp_path)
  (tmp_path / "cases/0003_panel.jpg").unlink()
  page = Page(render_page(audit, tmp_path))
  assert "cases/0003_panel.jpg is not there" in page.sections["cases"]
  assert len([name for name, _ in page.elements if name == "img"]) == 79


def test_what_painting_over_does(audit, page):
  painted = audit["localization"]["painted"]
  (row,) = table(page, "What becomes of the probability")[1:]
  assert row[:3] == [number(painted[name]) for name in ("untouched", "inside", "elsewhere")]
  assert row[3:] == [difference(painted["drop"], False)]


def test_a_study_in_which_no_map_passes_says_so_in_place_of_the_best(tmp_path):
  audit = make_audit()
  audit["localization"] |= {"best": {"reason": "of 44 maps none shows it"}, "painted": None}
  for row in audit["localization"]["maps"]:
    row |= {"trials": None, "passes": None}
  html = render_page(audit, tmp_path)
  assert html.count("of 44 maps none shows it") == 2  # in its place, and where what is missing is listed
  assert "Best map:" not in html and "painted over from" not in html


def test_parts_of_the_face_are_told_where_there_are_no_masks(tmp_path):
  audit = make_audit()
  regions = audit["localization"]["face_regions"]
  audit["localization"] = {"reason": "no fake has a mask", "face_regions": regions}
  page = Page(render_page(audit, tmp_path))
  rows = table(page, "Share of the energy on each part of the face")
  assert [row[0] for row in rows[2:]] == [row["manipulated"].replace("_", " ") for row in regions["rows"]]
  assert "no fake has a mask" in page.sections["localization"]


def test_the_cases_say_which_map_their_energy_is_of(page):
  assert "is that of HiResCAM of layer4_2/conv3." in page.sections["cases"]
