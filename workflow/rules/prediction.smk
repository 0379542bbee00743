rule prediction:
    """Deconvolve the samples of the sheet."""
    input:
        plan.sample_regions,
        samples=plan.samples,
        record=f"results/{{name}}/{plan.predicting_run}/logs/training_record.json",
        reference="results/{name}/reference/reference.h5",
    output:
        table="results/{name}/prediction/predictions.csv",
        record="results/{name}/prediction/predictions.json",
        multiqc=multiext(
            "results/{name}/prediction/predictions",
            "_mqc.json",
            "_general_stats_mqc.json",
        ),
        page=report(
            "results/{name}/prediction/predictions.html",
            caption="../report/prediction.rst",
            category="Prediction",
        ),
        patients=directory("results/{name}/prediction/predictions_patients"),
    log:
        "logs/{name}/prediction.log",
    benchmark:
        "results/{name}/benchmarks/prediction.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        sheet=lambda wildcards, input: input.samples[0],
        checkpoint=lambda wildcards, input: checkpoint(input.record),
        options=plan.prediction_options,
        code=source_digest("methmix.prediction"),
    shell:
        """
        python -m methmix.prediction \
            --checkpoint {params.checkpoint:q} \
            --reference {input.reference:q} \
            --sheet {params.sheet:q} \
            {params.options:q} \
            --threads {threads:q} \
            --output {output.table:q} \
            2>{log:q}
        """
