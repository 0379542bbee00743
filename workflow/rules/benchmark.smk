# Computing costs, always at the size of the full experiment, whichever experiment is chosen.


rule benchmark:
    """Measure computing costs in three minutes, as ratios within one run that hold on a busy machine."""
    input:
        config=found("config/full_scale.yaml"),
        arms=[
            found("config/phase2_multitissue.yaml"),
            found("config/phase2_sparse.yaml"),
        ],
    output:
        record="results/benchmark/benchmark.json",
        page=report(
            "results/benchmark/benchmark.html",
            caption="../report/benchmark.rst",
            category="Benchmark",
        ),
    log:
        "logs/benchmark.log",
    conda:
        "../../envs/training.yaml"
    threads: 2
    params:
        options=[],
        output=lambda wildcards, output: Path(output.page).parent,
        code=source_digest("methmix.benchmark"),
    shell:
        """
        python -m methmix.benchmark \
            --config {input.config:q} \
            {params.options:q} \
            --output {params.output:q} \
            2>{log:q}
        """


use rule benchmark as benchmark_full with:
    """Measure computing costs with more repetitions and larger sizes."""
    output:
        record="results/benchmark_full/benchmark.json",
        page=report(
            "results/benchmark_full/benchmark.html",
            caption="../report/benchmark.rst",
            category="Benchmark",
        ),
    log:
        "logs/benchmark_full.log",
    params:
        options=["--full"],
