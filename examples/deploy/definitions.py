"""A team's code location: a project of SampleMix beside the team's own definitions."""

import os

import dagster as dg

from samplemix_dagster import build_defs

CONFIG = os.environ.get("CORPUS_CONFIG", "/projects/corpus/samplemix.yaml")


@dg.asset(deps=[dg.AssetKey(["corpus", "export", "default"])], group_name="training")
def training_run(context: dg.AssetExecutionContext) -> None:
    """What a team makes of the files that SampleMix exported; put your own step here."""
    context.log.info("the files are exported; train on them here")


defs = dg.Definitions.merge(
    build_defs(config=CONFIG, key_prefix="corpus"),
    dg.Definitions(assets=[training_run], executor=dg.in_process_executor),
)
