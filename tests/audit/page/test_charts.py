import re

import pytest

from fakeface_jax.audit.page import charts as audit_charts
from tests.audit.audits import make_audit


@pytest.fixture(scope="module")
def audit():
  return make_audit()


def label(figure):
  return re.search(r'aria-label="([^"]*)"', figure)[1]


def test_layers_stand_in_the_order_of_the_network(audit):
  order = (
      "layer4_0/conv1", "layer4_0/conv2", "layer4_0/conv3", "layer4_0/downsample_conv", "layer4_0", "layer4_1/conv1",
      "layer4_1/conv2", "layer4_1/conv3", "layer4_1", "layer4_2/conv1", "layer4_2/conv2", "layer4_2/conv3", "layer4_2")
  figure = audit_charts.localization(audit["localization"], ("conv1", "layer3_0", *order))["energy"]
  assert re.findall(r">(layer[^<]*)<", figure) == list(order)


def test_energy_has_a_line_for_each_method_and_each_baseline(audit):
  figure = audit_charts.localization(audit["localization"])["energy"]
  legend = re.findall(r"</svg>([^<]+)</li>", figure)
  assert [name.split("\N{NO-BREAK SPACE}")[0] for name in legend] == [
      "chance 14.1", "centre 23.9", "edges 20.2", "Grad-CAM", "HiResCAM", "LayerCAM", "Eigen-CAM", "Grad-CAM++"]
  assert "Eigen-CAM at most 28.8\N{NO-BREAK SPACE}%, at layer4_2/conv3" in label(figure)


def test_the_three_most_faithful_maps_and_the_baselines_are_emphasised(audit):
  maps = audit["faithfulness"]["maps"]
  area = lambda row, way: sum(of["auc"][0] for of in row[way].values())
  gap = lambda row: area(row, "deletion") - area(row, "insertion")
  best = sorted((row for row in maps if row["method"]), key=gap)[:3]
  charts = audit_charts.faithfulness(audit["faithfulness"])
  for figure in charts["deletion"] + charts["insertion"]:
    legend = re.findall(r"</svg>([^<]+)</li>", figure)
    assert set(legend) == {audit_charts.name_of(row) for row in best} | {"random", "random patches", "centre"}
    assert len(re.findall(r'polyline class="line faint"', figure)) == 6
    assert len(re.findall(r'polyline class="line s', figure)) == 3
  assert "painted in" in charts["deletion"][0] and f"{best[0]['deletion']['inpaint']['auc'][0]:.3f}" in label(
      charts["deletion"][0])


def test_cascading_randomisation_has_a_line_for_each_method_step_by_step(audit):
  sanity = audit["faithfulness"]["sanity"]
  (figure,) = audit_charts.faithfulness(audit["faithfulness"])["randomisation"]
  legend = re.findall(r"</svg>([^<]+)</li>", figure)
  assert legend[0].startswith("from 0.5") and len(legend) == 1 + len(sanity["methods"])
  assert re.findall(r">(head|layer3|layer4_\d|stem)<", figure) == sanity["steps"]
  assert "guided backprop 0.900 to 0.830" in label(figure)
  below = {**sanity, "methods": {"gradcam": {"rank_correlation": [1, 0, -0.3, 0, 0, 0]}}}
  assert ">-0.5<" in audit_charts.randomisation(below) and ">-0.5<" not in figure
  assert audit_charts.faithfulness({**audit["faithfulness"], "sanity": {"reason": "none"}})["randomisation"] == []


def test_robustness_says_each_level(audit):
  charts = audit_charts.robustness(audit["robustness"])["corruptions"]
  assert len(charts) == 6
  jpeg = audit["robustness"]["corruptions"][0]["levels"]
  assert all(f"at {level['level']:g} F1 {level['f1_macro'][0]:.3f}" in label(charts[0]) for level in jpeg)
  assert [text for text in re.findall(r">(\d+)</text>", charts[0]) if text in ("95", "75", "50", "30")] == [
      "95", "75", "50", "30"]


def test_the_histogram_counts_from_one_half_on(audit):
  charts = audit_charts.detection(audit["detection"])
  (_, alarms), (_, caught) = audit["detection"]["scores"]["confusion_matrix"]
  assert f"From one half on: {alarms} of 500 reals, {caught} of 500 fakes" in label(charts["histogram"])
  assert f"{audit['detection']['scores']['roc_auc']:.3f}" in label(charts["roc"])
