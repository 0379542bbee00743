rule detection:
    """Measure the limit of detection: one tissue spiked into backgrounds of unseen donors."""
    input:
        records=lambda wildcards: expand(
            "results/{{name}}/{{phase}}/{arm}/logs/training_record.json",
            arm=plan.trained_arms(wildcards),
        ),
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
    output:
        multiext(
            "results/{name}/{phase}/detection/",
            scores="scores.npz",
            sensitivities="detection.csv",
            limits="limits.csv",
            record="detection.json",
        ),
    log:
        "logs/{name}/detection_{phase}.log",
    benchmark:
        "results/{name}/benchmarks/detection_{phase}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=plan.record,
        checkpoints=lambda wildcards, input: [*map(checkpoint, input.records)],
        output=lambda wildcards, output: Path(output.record).parent,
        settings=plan.settings("detection"),
        code=source_digest("methmix.detection"),
    shell:
        """
        python -m methmix.detection \
            --config {params.config:q} \
            --reference {input.reference:q} \
            --checkpoints {params.checkpoints:q} \
            --validation {input.validation:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule detection_report:
    """Draw the limits of detection."""
    input:
        sensitivities=rules.detection.output.sensitivities,
        limits=rules.detection.output.limits,
        record=rules.detection.output.record,
    output:
        figure=report(
            "results/{name}/{phase}/detection/detection.png",
            caption="../report/detection.rst",
            category="Limit of detection",
        ),
        page="results/{name}/{phase}/detection/detection.html",
    log:
        "logs/{name}/detection_report_{phase}.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    params:
        folder=lambda wildcards, output: Path(output.page).parent,
        code=source_digest("methmix.report", "detection"),
    shell:
        """
        python -m methmix.report detection \
            --folder {params.folder:q} \
            2>{log:q}
        """
