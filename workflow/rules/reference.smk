rule reference:
    """Simulate or read the donors and divide them into train, validation and test."""
    input:
        plan.reference_files,
    output:
        reference="results/{name}/reference/reference.h5",
    log:
        "logs/{name}/reference.log",
    benchmark:
        "results/{name}/benchmarks/reference.tsv"
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        settings=plan.settings("reference"),
        code=source_digest("methmix.reference", "build"),
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
        reference=rules.reference.output.reference,
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
        code=source_digest("methmix.reference", "report"),
    shell:
        """
        python -m methmix.reference report \
            --reference {input.reference:q} \
            --output {output.page:q} \
            2>{log:q}
        """


rule download:
    """Fetch the public data that config/metdecode.yaml and config/loyfer_uxm.yaml use into data/."""
    output:
        "data/metdecode/atlas_with_replicates.tsv.gz",
        "data/loyfer_uxm/Atlas.U250.l4.hg38.full.tsv.gz",
    log:
        "logs/download.log",
    localrule: True
    conda:
        "../../envs/pipeline.yaml"
    shell:
        """
        python -m methmix.reference download --output data 2>{log:q}
        """
