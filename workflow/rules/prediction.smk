from methmix.prediction.sheet import files_of_sheet

PREDICTION = experiment.prediction
# Only for the plan: without the section nothing is predicted.
PREDICTS = f"{PREDICTION.checkpoint_phase if PREDICTION else 'phase3'}/sparse"


def sheet_and_samples(wildcards):
    """Give the samples sheet and the files that it names."""
    if PREDICTION is None:
        raise WorkflowError(
            f"{given}: missing key prediction, so there is nothing to predict\n  write, for example:\n"
            "    prediction:\n      samples: config/samples.tsv\n      checkpoint_phase: phase2"
        )
    try:
        return [PREDICTION.samples, *map(str, files_of_sheet(Path(PREDICTION.samples)))]
    except InputError as error:
        raise WorkflowError(str(error)) from None


def prediction_options(wildcards):
    """Give the options that the configuration sets."""
    options = PREDICTION.model_dump(include={"pseudo_depth", "genome", "regions_file"})
    return [
        f"--{name.replace('_', '-')}={value}"
        for name, value in options.items()
        if value is not None
    ]


rule prediction:
    """Deconvolve the samples of the sheet."""
    input:
        samples=sheet_and_samples,
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
        options=prediction_options,
        code=source_digest(
            "prediction", "report", "formats", "models", "training", "files"
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
