"""The report's list of reasons is the one that ledgers are written by."""

import re
from pathlib import Path

import yaml

from samplemix_dagster import tables

STAGING = Path(__file__).parents[2] / "dbt/models/staging/staging.yml"


def test_the_report_knows_every_reason_that_a_ledger_can_have() -> None:
    models = yaml.safe_load(STAGING.read_text(encoding="utf-8"))["models"]
    [ledger] = [model for model in models if model["name"] == "stg_ledger"]
    [rule] = [
        test["equation"]["arguments"]["holds"]
        for test in ledger["data_tests"]
        if test.get("equation", {}).get("name") == "stg_ledger_reasons_are_known"
    ]
    assert set(re.findall(r"'(\w+)'", rule)) == {"not_drawn", *tables.OUT}
