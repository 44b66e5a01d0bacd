"""A made-up audit, true to what `audit.json` holds, and the pictures of its cases."""

import pytest

from tests.audit.audits import make_audit, write_pictures


@pytest.fixture(scope="module")
def audit():
  return make_audit()


@pytest.fixture(scope="module")
def folder(audit, tmp_path_factory):
  folder = tmp_path_factory.mktemp("audit")
  write_pictures(audit, folder)
  return folder
