"""Notebooks keep to the time budget of the `lesson` profile, and say their time truthfully."""


def test_notebooks_keep_to_their_budget(notebook_times):
    broken = [line for run in notebook_times.values() for line in run.over_budget()]
    assert not broken, "\n".join(broken)
