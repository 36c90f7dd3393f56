"""The layout is said three times, in three languages: mulfact/layout.py, recipes/base.yaml and the Makefile agree."""

import re
from pathlib import Path

from mulfact.layout import (
    CONDITION_STAGES,
    RUN_STAGES,
    SHARED_STAGES,
    TRAINED,
    last_written,
    make_again,
    output_of_run,
    recipe_file,
    report_folder,
    run_folder,
    run_name,
)
from mulfact.recipe import compose, recipe_path

RUN = run_folder(Path("outputs/smoke"), "mulfact", 3)
STAGES = (*SHARED_STAGES, *CONDITION_STAGES, *RUN_STAGES)


def test_a_recipe_writes_where_the_layout_says(repository):
    stages = compose(repository / "recipes", "smoke", "mulfact", 3)
    for stage in set(STAGES) - {"sft", "grpo", "ledger"}:
        assert stages[stage]["output_dir"] == str(output_of_run(RUN, stage))
    for stage in ("sft", "grpo"):  # TRL trains elsewhere, and the finished stage becomes what evaluation reads
        assert stages["eval"]["checkpoints"][stage] == str(output_of_run(RUN, stage))
    assert stages["ledger"]["output"] == str(output_of_run(RUN, "ledger"))
    assert stages["compare"]["output_dir"] == str(report_folder(Path("outputs/smoke")))
    for stage in STAGES:
        assert recipe_path(stages, stage) == recipe_file(output_of_run(RUN, stage).parent, stage)


def test_make_waits_for_the_file_that_a_stage_writes_last(repository):
    makefile = (repository / "Makefile").read_text()
    for stage in STAGES:
        product = last_written(output_of_run(RUN, stage).parent, stage)
        tail = product.relative_to(output_of_run(RUN, stage).parent)
        assert re.search(rf"/{re.escape(str(tail))}\)?(: | &: )", makefile), stage


def test_a_run_is_known_by_its_folder():
    assert run_name(RUN) == ("smoke", "mulfact", 3)
    assert str(RUN) == "outputs/smoke/mulfact/seed-3"
    assert {str(output_of_run(RUN, stage).name) for stage in TRAINED} == {"pretrain_final", "sft_final", "grpo_final"}
    assert make_again(RUN, "tokens") == (
        "delete outputs/smoke/mulfact/tokens and run make tokens SCALE=smoke CONDITION=mulfact SEED=3"
    )
