# The same experiment several times: with variants of the arms and other seeds, or with other donors in the test.


rule ablate:
    """Show what each ingredient is worth, over several seeds."""
    input:
        plan.experiment.ablation,
        expand(
            "results/{run}/{{phase}}/{arm}/evaluation/metrics.json",
            run=plan.seed_runs,
            arm=names(selected=True),
        ),
        expand(
            "results/{run}/{{phase}}/ablation/{variant}/evaluation/metrics.json",
            run=plan.seed_runs,
            variant=plan.variants,
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
        config=plan.record,
        runs=expand("results/{run}/{{phase}}", run=plan.seed_runs),
        arms=names(selected=True),
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("methmix.report", "ablation"),
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
            run=plan.fold_runs,
            arm=names(),
            file=EVALUATED.values(),
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
        config=plan.record,
        runs=expand("results/{run}/{{phase}}", run=plan.fold_runs),
        arms=names(),
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("methmix.report", "folds"),
    shell:
        """
        python -m methmix.report folds \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --arms {params.arms:q} \
            --output {params.output:q} \
            2>{log:q}
        """
