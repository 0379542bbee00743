# A point of a sweep is trained and evaluated as a variant of the ablation is. Those of a grid or a list are planned at
# once; a sampler suggests them by generations. Its file names the points, so that no finished point is ever replaced.


checkpoint suggest:
    """Suggest the points of one generation from the results of all earlier ones."""
    input:
        # Of the experiment's own seed: further seeds change no point.
        records=partial(plan.earlier_records, checkpoints),
    output:
        points="results/{name}/{phase}/sweep/{sweep}/generation_{generation}.json",
    log:
        "logs/{name}/sweep_{phase}_{sweep}_{generation}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        run="results/{name}/{phase}",
        output=lambda wildcards, output: Path(output.points).parent,
        settings=[plan.sweep.arm, plan.sweep.search.model_dump(exclude={"generations"})],
        code=source_digest("methmix.sweep", "suggest"),
    shell:
        """
        python -m methmix.sweep suggest \
            --config {params.config:q} \
            --runs {params.run:q} \
            --generation {wildcards.generation:q} \
            --output {params.output:q} \
            2>{log:q}
        """


checkpoint choose:
    """Choose the recommended point on validation."""
    input:
        # They stand for the training logs, which are read.
        records=partial(plan.sweep_records, checkpoints),
    output:
        multiext(
            "results/{name}/{phase}/sweep/{sweep}/",
            choice="choice.json",
            points="points.csv",
            runs="runs.csv",
            recommended="recommended.yaml",
            experiment="experiment.yaml",
        ),
    log:
        "logs/{name}/sweep_{phase}_{sweep}_choose.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        runs=expand("results/{run}/{{phase}}", run=plan.sweep_runs),
        output=lambda wildcards, output: Path(output.choice).parent,
        settings=plan.settings(),
        code=source_digest("methmix.sweep", "choose"),
    shell:
        """
        python -m methmix.sweep choose \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule sweep:
    """Report a sweep, with the recommended and the shipped point on test."""
    input:
        partial(plan.confirmations, checkpoints),
        choice="results/{name}/{phase}/sweep/{sweep}/choice.json",
        points="results/{name}/{phase}/sweep/{sweep}/points.csv",
    output:
        page="results/{name}/{phase}/sweep/{sweep}/sweep.html",
        test="results/{name}/{phase}/sweep/{sweep}/test.json",
        figures=report(
            expand(
                "results/{{name}}/{{phase}}/sweep/{{sweep}}/{figure}.png",
                figure=["front", "map", "parallel"],
            ),
            caption="../report/sweep.rst",
            category="Sweep",
            subcategory="{sweep}",
        ),
    log:
        "logs/{name}/sweep_{phase}_{sweep}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        runs=expand("results/{run}/{{phase}}", run=plan.sweep_runs),
        output=lambda wildcards, output: Path(output.page).parent,
        settings=[plan.sweep.map_keys],
        code=source_digest("methmix.sweep", "report"),
    shell:
        """
        python -m methmix.sweep report \
            --config {params.config:q} \
            --runs {params.runs:q} \
            --output {params.output:q} \
            2>{log:q}
        """
