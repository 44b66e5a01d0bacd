import pytest

from fakeface_jax.data.reading.threads import in_order, with_bar


def test_results_come_in_order_from_any_number_of_threads_and_an_error_comes_out():
  assert list(in_order(lambda x: x * x, range(40), threads=3)) == [x * x for x in range(40)]
  with pytest.raises(ZeroDivisionError):
    list(in_order(lambda x: 1 // (5 - x), range(40), threads=2))


def test_a_bar_changes_nothing_and_no_more_is_computed_ahead_than_may_wait():
  assert list(with_bar(lambda x: -x, [3, 1, 2])) == [-3, -1, -2]
  taken = []
  results = in_order(lambda x: -x, (taken.append(x) or x for x in range(100)), threads=2, ahead=3)
  assert next(results) == 0
  assert taken == list(range(7))  # three for each thread may wait, and one was yielded
