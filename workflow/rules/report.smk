ARMS = [
    "original",
    "sparse",
    "nnls",
    "nnls_cut",
    "em",
    "uniform",
    "all_absent",
    "oracle",
]


rule compare:
    """Compare the arms: tables, Miami plots and the page."""
    input:
        metrics=expand(
            "results/{{name}}/{{phase}}/{arm}/evaluation/metrics.json", arm=ARMS
        ),
        predictions=expand(
            "results/{{name}}/{{phase}}/{arm}/evaluation/predictions.csv", arm=ARMS
        ),
    output:
        table="results/{name}/{phase}/comparison/comparison.csv",
        record="results/{name}/{phase}/comparison/comparison.json",
        page=report(
            "results/{name}/{phase}/comparison/report.html",
            caption="../report/comparison.rst",
            category="Comparison",
        ),
        miami=report(
            expand("results/{{name}}/{{phase}}/comparison/miami_{arm}.png", arm=ARMS),
            caption="../report/miami.rst",
            category="Miami plots",
        ),
    log:
        "logs/{name}/compare_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=record,
        recipe=lambda wildcards: experiment.mixtures.recipes[wildcards.phase].words,
        arms=ARMS,
        folder=lambda wildcards, output: Path(output.page).parents[1],
        jobs="results/{name}/benchmarks",
        output=lambda wildcards, output: Path(output.page).parent,
        code=source_digest("report", "pages"),
    shell:
        """
        python -m methmix.report comparison \
            --config {params.config:q} \
            --folder {params.folder:q} \
            --arms {params.arms:q} \
            --jobs {params.jobs:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule sweep:
    """Compare learning rates on validation."""
    input:
        expand(
            "results/{{name}}/{{phase}}/sweep/{arm}/{rate}/logs/training_record.json",
            arm=["original", "sparse"],
            rate=config["sweep"]["learning_rates"],
        ),
    output:
        table="results/{name}/{phase}/sweep/sweep.csv",
        figure=report(
            "results/{name}/{phase}/sweep/sweep.png",
            caption="../report/sweep.rst",
            category="Learning rates",
        ),
    log:
        "logs/{name}/sweep_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        runs=expand(
            "results/{{name}}/{{phase}}/sweep/{arm}/{rate}",
            arm=["original", "sparse"],
            rate=config["sweep"]["learning_rates"],
        ),
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("report", "pages"),
    shell:
        """
        python -m methmix.report sweep \
            --runs {params.runs:q} \
            --output {params.output:q} \
            2>{log:q}
        """
