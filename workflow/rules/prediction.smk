from methmix.prediction.prediction_section import options, sheet_and_files

# Without the section there is nothing to predict, which is told when somebody wants it.
PREDICTS = f"{experiment.prediction.checkpoint_phase if experiment.prediction else 'phase3'}/sparse"


rule prediction:
    """Deconvolve the samples of the sheet."""
    input:
        samples=lambda wildcards: sheet_and_files(experiment, given),
        record=f"results/{{name}}/{PREDICTS}/logs/training_record.json",
        reference="results/{name}/reference/reference.h5",
    output:
        table="results/{name}/prediction/predictions.csv",
        record="results/{name}/prediction/predictions.json",
        page=report(
            "results/{name}/prediction/predictions.html",
            caption="../report/prediction.rst",
            category="Prediction",
        ),
    log:
        "logs/{name}/prediction.log",
    benchmark:
        "results/{name}/benchmarks/prediction.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        sheet=lambda wildcards, input: input.samples[0],
        checkpoint=f"results/{{name}}/{PREDICTS}/checkpoints/checkpoint_best.pt",
        options=lambda wildcards: options(experiment),
        code=source_digest(
            "prediction",
            "report",
            "evaluation",
            "formats",
            "models",
            "training",
            "files",
            "reference",
        ),
    shell:
        """
        python -m methmix.prediction \
            --checkpoint {params.checkpoint:q} \
            --reference {input.reference:q} \
            --sheet {params.sheet:q} \
            {params.options:q} \
            --output {output.table:q} \
            2>{log:q}
        """
