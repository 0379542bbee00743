"""What is to be reached, beside what was measured."""

from typing import Any

# Ratios inside one run.
STEP_OVER_PRODUCTS = 1.6
GENERATION_OVER_STEP = 0.30
SOLVER_SPEED = 50.0
SOLVER_DIFFERENCE = 1e-6
WRITING_SPEED = 0.5
LOADER_SPEED = 100.0
GROWTH = 2.2
# Of memory: for each byte by which a file grows, a streaming process may grow by so many. Donors and proportions of
# each mixture are kept, some kilobytes, and the allocator is not exact to a few blocks of mixtures.
STREAMED = 0.1
MEMORY_MB = 4096.0


def checks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """List every target with what was measured.

    Parameters
    ----------
    content
        Name of each measurement -> what it gave.

    Returns
    -------
    list of dict
        ``measurement, quantity, measured, relation`` (``<=`` or ``>=``), ``target, met``.
    """
    table: list[dict[str, Any]] = []

    def add(measurement: str, quantity: str, measured: float, relation: str, target: float) -> None:
        met = measured <= target if relation == "<=" else measured >= target
        row = {"measurement": measurement, "quantity": quantity, "measured": measured}
        table.append({**row, "relation": relation, "target": target, "met": bool(met)})

    for arm, step in content["training_step"].items():
        add("training_step", f"{arm}: step / its matrix products", step["step_over_products"], "<=", STEP_OVER_PRODUCTS)
        generation = step["generation_over_step"]
        add("training_step", f"{arm}: mixing and reads / step", generation, "<=", GENERATION_OVER_STEP)
    nnls, writing, loader = content["nnls"], content["writing"], content["loader"]
    add("nnls", "speed / scipy.optimize.nnls in a loop", nnls["speed_over_scipy"], ">=", SOLVER_SPEED)
    add("nnls", "largest difference from it", nnls["largest_difference"], "<=", SOLVER_DIFFERENCE)
    add("writing", "speed / plain writing of the bytes", writing["speed_over_plain"], ">=", WRITING_SPEED)
    add("loader", "mixtures per second / straightforward loader", loader["speed_over_loader"], ">=", LOADER_SPEED)
    for axis, words in (("regions", "regions"), ("batch_size", "mixtures in a batch")):
        for name, factor in content["scaling"][axis]["growth"].items():
            what = "mixing and reads" if name == "mixing_and_reads" else f"step of {name}"
            add("scaling", f"{what}: time for twice the {words}", factor, "<=", GROWTH)
    add("scaling", "writing: time for twice the mixtures", writing["growth"], "<=", GROWTH)
    for name, words in (("write", "writing mixtures"), ("nnls", "NNLS on mixtures")):
        grown = content["memory"][name]["growth_per_byte"]
        add("memory", f"{words}: bytes more for a byte more of file", grown, "<=", STREAMED)
    for arm in content["training_step"]:
        peak = content["memory"][f"train_{arm}"]["resident_mb"]
        add("memory", f"training of {arm}: largest memory, MB", peak, "<=", MEMORY_MB)
    return table
