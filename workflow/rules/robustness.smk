rule measure_robustness:
    """Ask the sparse arm and the controls in situations in which a model must not be overconfident."""
    input:
        record=plan.main_record,
        reference="results/{name}/reference/reference.h5",
    output:
        record="results/{name}/{phase}/robustness/robustness.json",
        table="results/{name}/{phase}/robustness/robustness.csv",
        page=report(
            "results/{name}/{phase}/robustness/report.html",
            caption="../report/robustness.rst",
            category="Robustness",
        ),
    log:
        "logs/{name}/robustness_{phase}.log",
    benchmark:
        "results/{name}/benchmarks/robustness_{phase}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=plan.record,
        checkpoint=lambda wildcards, input: checkpoint(input.record),
        output=lambda wildcards, output: Path(output.page).parent,
        settings=plan.settings(),
        code=source_digest("methmix.robustness"),
    shell:
        """
        python -m methmix.robustness \
            --config {params.config:q} \
            --reference {input.reference:q} \
            --checkpoint {params.checkpoint:q} \
            --output {params.output:q} \
            2>{log:q}
        """
