rule compare:
    """Compare the arms: tables, Miami plots and the page."""
    input:
        expand(
            "results/{{name}}/{{phase}}/{arm}/evaluation/{file}",
            arm=names(compared=True),
            file=EVALUATED.values(),
        ),
        # They stand for the training logs, which are read too.
        expand(
            "results/{{name}}/{{phase}}/{arm}/logs/training_record.json",
            arm=names("trained"),
        ),
    output:
        table="results/{name}/{phase}/comparison/comparison.csv",
        record="results/{name}/{phase}/comparison/comparison.json",
        page=report(
            "results/{name}/{phase}/comparison/report.html",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"phase": "{phase}", "what": "page"},
        ),
        miami=[
            report(
                f"results/{{name}}/{{phase}}/comparison/miami_{arm}.png",
                caption="../report/miami.rst",
                category="Miami plots",
                labels={"phase": "{phase}", "arm": arm},
            )
            for arm in names(compared=True)
        ],
        # For papers.
        vector=expand(
            "results/{{name}}/{{phase}}/comparison/miami_{arm}.svg",
            arm=names(compared=True),
        ),
    log:
        "logs/{name}/compare_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        recipe=plan.recipe,
        arms=names(compared=True),
        folder=lambda wildcards, output: Path(output.page).parents[1],
        # What jobs have used is shown where it was measured, and needed nowhere.
        jobs="results/{name}/benchmarks",
        # Likewise: intervals over donors are shown where donors were drawn.
        draws="results/{name}/{phase}/donors/donors.json",
        output=lambda wildcards, output: Path(output.page).parent,
        code=source_digest("methmix.report", "comparison"),
    shell:
        """
        python -m methmix.report comparison \
            --config {params.config:q} \
            --folder {params.folder:q} \
            --arms {params.arms:q} \
            --jobs {params.jobs:q} \
            --draws {params.draws:q} \
            --output {params.output:q} \
            2>{log:q}
        """
