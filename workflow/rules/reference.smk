rule reference:
    """Simulate or read the donors and divide them into train, validation and test."""
    output:
        reference="results/{name}/reference/reference.h5",
    log:
        "logs/{name}/reference.log",
    benchmark:
        "results/{name}/benchmarks/reference.tsv"
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=record,
        settings=settings("reference"),
        code=source_digest("reference", "formats", "files"),
    shell:
        """
        python -m methmix.reference build \
            --config {params.config:q} \
            --output {output.reference:q} \
            2>{log:q}
        """


rule reference_report:
    """Show donors, depth, missing regions, purity and similarity of tissues."""
    input:
        reference="results/{name}/reference/reference.h5",
    output:
        page=report(
            "results/{name}/reference/reference_report.html",
            caption="../report/reference.rst",
            category="Reference",
        ),
    log:
        "logs/{name}/reference_report.log",
    benchmark:
        "results/{name}/benchmarks/reference_report.tsv"
    conda:
        "../../envs/pipeline.yaml"
    params:
        code=source_digest("reference", "files"),
    shell:
        """
        python -m methmix.reference report \
            --reference {input.reference:q} \
            --output {output.page:q} \
            2>{log:q}
        """
