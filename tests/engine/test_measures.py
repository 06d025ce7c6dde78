"""What a ledger says in numbers is the same in every process."""

from fractions import Fraction

import pytest

from samplemix_dagster.trace.difference.measures import Measures, total_variation


@pytest.mark.parametrize("seed", range(8))
def test_a_total_variation_is_rounded_once_whatever_the_order_of_names(seed: int) -> None:
    def measured(step: int) -> Measures:
        tokens = {f"topic-{n}": 1 + (n * step + seed) % 9973 for n in range(300)}
        return Measures(
            totals={"tokens": sum(tokens.values())},
            groups={"topic": {name: {"draws": 1, "tokens": own} for name, own in tokens.items()}},
        )

    a, b = measured(7919), measured(104_729)
    terms = [
        Fraction(
            abs(
                b.group("topic", name)["tokens"] / b.totals["tokens"]
                - a.group("topic", name)["tokens"] / a.totals["tokens"]
            )
        )
        for name in a.groups["topic"]
    ]
    assert total_variation(a, b, "topic") == float(sum(terms)) / 2
