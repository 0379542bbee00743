rule detection:
    """Measure the limit of detection: one tissue spiked into a background, against blanks."""
    input:
        records=lambda wildcards: expand(
            "results/{{name}}/{{phase}}/{arm}/logs/training_record.json",
            arm=config["arms"][wildcards.phase],
        ),
        reference="results/{name}/reference/reference.h5",
    output:
        scores="results/{name}/{phase}/detection/scores.npz",
        sensitivities="results/{name}/{phase}/detection/detection.csv",
        limits="results/{name}/{phase}/detection/limits.csv",
        record="results/{name}/{phase}/detection/detection.json",
    log:
        "logs/{name}/detection_{phase}.log",
    benchmark:
        "results/{name}/benchmarks/detection_{phase}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=record,
        checkpoints=lambda wildcards: expand(
            "results/{name}/{phase}/{arm}/checkpoints/checkpoint_best.pt",
            name=wildcards.name,
            phase=wildcards.phase,
            arm=config["arms"][wildcards.phase],
        ),
        output=lambda wildcards, output: Path(output.record).parent,
        settings=settings("detection"),
        code=source_digest(
            "detection", "evaluation", "models", "training", "mixtures", "files"
        ),
    shell:
        """
        python -m methmix.detection \
            --config {params.config:q} \
            --reference {input.reference:q} \
            --checkpoints {params.checkpoints:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule detection_report:
    """Draw the limits of detection."""
    input:
        sensitivities="results/{name}/{phase}/detection/detection.csv",
        limits="results/{name}/{phase}/detection/limits.csv",
        record="results/{name}/{phase}/detection/detection.json",
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
        code=source_digest("report", "pages"),
    shell:
        """
        python -m methmix.report detection \
            --folder {params.folder:q} \
            2>{log:q}
        """
