import numpy as np

from bench.kernel import Plant, measure, measure_backfill, table_of


def test_the_bench_measures_what_it_says() -> None:
    plant = Plant(table_of(50))
    high = np.full(50, 25.0)
    for _ in range(5):
        plant.second(high)
    assert plant.transitions == 0
    plant.second(high)
    assert plant.transitions == 100


def test_the_bench_runs() -> None:
    figures = measure(400, 1)
    assert {"quiet", "one_percent_active", "all_raise", "hundred_points"} <= set(figures)
    assert min(figures.values()) > 0
    assert measure_backfill(200) > 0
