from fakeface_jax.data.pairs import pairs_of

REAL, FAKE = 0, 1


def pairs(**labels):
  """Of {name: label}, by name."""
  names = list(labels)
  return [(names[real], names[fake]) for real, fake in pairs_of(names, list(labels.values()))]


def test_a_real_and_the_fake_of_its_name_are_a_pair_whatever_the_kind_of_file():
  assert pairs(**{"fake/x/b.png": FAKE, "real/c.jpg": REAL, "real/a.jpg": REAL, "real/b.jpg": REAL,
                  "fake/a.jpg": FAKE, "fake/d.jpg": FAKE}) == [
      ("real/a.jpg", "fake/a.jpg"), ("real/b.jpg", "fake/x/b.png")]


def test_a_name_that_several_have_pairs_none():
  assert pairs(**{"real/1/a.jpg": REAL, "real/2/a.jpg": REAL, "fake/a.jpg": FAKE}) == []
  assert pairs(**{"real/a.jpg": REAL, "fake/a.jpg": FAKE, "fake/a.png": FAKE}) == []
  assert pairs(**{"real/a.jpg": REAL, "real/b.jpg": REAL}) == []


def test_a_forged_face_belongs_to_its_photograph():
  assert pairs(**{"me (2).jpeg (saved again)": REAL, "me (2).jpeg (mouth, copy)": FAKE,
                  "me (1).jpeg (nose, blur)": FAKE, "me (1).jpeg (saved again)": REAL}) == [
      ("me (2).jpeg (saved again)", "me (2).jpeg (mouth, copy)"),
      ("me (1).jpeg (saved again)", "me (1).jpeg (nose, blur)")]
