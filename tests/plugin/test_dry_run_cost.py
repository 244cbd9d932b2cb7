"""``--cropdet-dry-run`` says what a run costs, as ``--cropdet-assume`` has it."""

WHAT = ("--cropdet-dry-run", "--cropdet-assume=ms=20,images=1000000")


def test_a_dry_run_counts_the_run_that_is_assumed(project):
    text = project.gate("fakes:make", *WHAT, "--cropdet-assume=distance=0.01,price=3").stdout.str()
    assert "detector 11.1 h" in text  # 2,000,000 pictures of 20 ms each
    assert " at 3 per hour: detector " in text
    assert "a drop 0.01 from the limit is decided" in text
    assert "there are 1,000,000" in text


def test_without_assumptions_the_run_at_hand_is_counted(project):
    text = project.gate("fakes:make", "--cropdet-dry-run").stdout.str()
    assert "time, about " in text
    assert "a drop 0.02 from the limit is decided" in text
    assert "there are 60" in text


def test_what_cannot_be_assumed_ends_the_session_before_a_test_runs(project):
    result = project.gate("fakes:make", "--cropdet-dry-run", "--cropdet-assume=speed=3")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*cropdet_assume 'speed=3'*the keys are images, ms, calls, distance, price*"])
