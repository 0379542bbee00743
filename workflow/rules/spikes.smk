rule measure_spikes:
    """Spike reads of held-out donors into the controls of the samples sheet, and see what each method calls."""
    input:
        plan.sample_regions,
        samples=plan.samples,
        record=f"results/{{name}}/{plan.predicting_run}/logs/training_record.json",
        reference="results/{name}/reference/reference.h5",
    output:
        record="results/{name}/spikes/spikes.json",
        table="results/{name}/spikes/spikes.csv",
        page=report(
            "results/{name}/spikes/report.html",
            caption="../report/spikes.rst",
            category="Spiked controls",
        ),
    log:
        "logs/{name}/spikes.log",
    benchmark:
        "results/{name}/benchmarks/spikes.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=plan.record,
        checkpoint=lambda wildcards, input: checkpoint(input.record),
        output=lambda wildcards, output: Path(output.page).parent,
        settings=plan.settings("prediction"),
        code=source_digest("methmix.spikes"),
    shell:
        """
        python -m methmix.spikes \
            --config {params.config:q} \
            --reference {input.reference:q} \
            --checkpoint {params.checkpoint:q} \
            --output {params.output:q} \
            2>{log:q}
        """
