# The same experiment several times: with variants of the arms and other seeds, or with other donors in the test.
# What the variants are compared with; least_squares is the sparse arm without its network.
COMPARED = ["sparse", "least_squares", "original", "nnls_cut", "em", "oracle"]


rule ablate:
    """Show what each ingredient is worth, over several seeds."""
    input:
        arms=expand(
            "results/{run}/{{phase}}/{arm}/evaluation/metrics.json",
            run=SEED_RUNS,
            arm=COMPARED,
        ),
        variants=expand(
            "results/{run}/{{phase}}/ablation/{variant}/evaluation/metrics.json",
            run=SEED_RUNS,
            variant=list(ABLATION),
        ),
    output:
        table="results/{name}/{phase}/ablation/ablation.csv",
        figure=report(
            "results/{name}/{phase}/ablation/ablation.png",
            caption="../report/ablation.rst",
            category="Ablation",
        ),
        page="results/{name}/{phase}/ablation/report.html",
    log:
        "logs/{name}/ablate_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=record,
        runs=expand("results/{run}/{{phase}}", run=SEED_RUNS),
        arms=COMPARED,
        labels=[variant.label for variant in ABLATION.values()],
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("report", "pages"),
    shell:
        """
        python -m methmix.report ablation \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --arms {params.arms:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule pool_folds:
    """Pool the test mixtures of all folds, with the spread between them."""
    input:
        expand(
            "results/{run}/{{phase}}/{arm}/evaluation/{file}",
            run=FOLD_RUNS,
            arm=[*ARMS, "least_squares"],
            file=["metrics.json", "predictions.csv"],
        ),
    output:
        table="results/{name}/{phase}/folds/folds.csv",
        content="results/{name}/{phase}/folds/folds.json",
        figure=report(
            "results/{name}/{phase}/folds/folds.png",
            caption="../report/folds.rst",
            category="Folds",
        ),
        page="results/{name}/{phase}/folds/report.html",
    log:
        "logs/{name}/folds_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=record,
        runs=expand("results/{run}/{{phase}}", run=FOLD_RUNS),
        arms=[*ARMS, "least_squares"],
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("report", "pages"),
    shell:
        """
        python -m methmix.report folds \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --arms {params.arms:q} \
            --output {params.output:q} \
            2>{log:q}
        """
