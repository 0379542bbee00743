# The same experiment several times: with variants of the arms and other seeds, with other draws of donors, or with
# other donors in the test.


rule ablate:
    """Show what each ingredient is worth, over several seeds."""
    input:
        found(plan.experiment.ablation),
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


rule draw_donors:
    """Repeat the experiment with other draws of donors; real donors are left out in turn."""
    input:
        expand(
            "results/{run}/{{phase}}/{arm}/evaluation/{file}",
            run=plan.draw_runs,
            arm=names(),
            file=EVALUATED.values(),
        ),
    output:
        table="results/{name}/{phase}/donors/donors.csv",
        content="results/{name}/{phase}/donors/donors.json",
        figure=report(
            "results/{name}/{phase}/donors/donors.png",
            caption="../report/donors.rst",
            category="Donors",
        ),
        page="results/{name}/{phase}/donors/report.html",
    log:
        "logs/{name}/donors_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        runs=expand("results/{run}/{{phase}}", run=plan.draw_runs),
        arms=names(),
        output=lambda wildcards, output: Path(output.table).parent,
        code=source_digest("methmix.report", "donors"),
    shell:
        """
        python -m methmix.report donors \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --arms {params.arms:q} \
            --output {params.output:q} \
            2>{log:q}
        """


# The comparison needs no draws, but shows them: it is written again when there are some.
use rule compare as compare_over_donors with:
    input:
        draws=rules.draw_donors.output.content,
        page=rules.compare.output.page,
    output:
        touch("results/{name}/{phase}/donors/comparison.done"),
    log:
        "logs/{name}/compare_{phase}_over_donors.log",
    params:
        folder=lambda wildcards, input: Path(input.page).parents[1],
        draws=lambda wildcards, input: input.draws,
        output=lambda wildcards, input: Path(input.page).parent,
