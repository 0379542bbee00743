rule mixtures:
    """Mix donors of one split and sample reads."""
    input:
        reference="results/{name}/reference/reference.h5",
    output:
        mixtures="results/{name}/mixtures/{phase}_{split}_mixtures.h5",
    log:
        "logs/{name}/mixtures_{phase}_{split}.log",
    benchmark:
        "results/{name}/benchmarks/mixtures_{phase}_{split}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        settings=plan.settings("mixtures"),
        code=source_digest("methmix.mixtures"),
    shell:
        """
        python -m methmix.mixtures \
            --config {params.config:q} \
            --reference {input.reference:q} \
            --phase {wildcards.phase:q} \
            --split {wildcards.split:q} \
            --output {output.mixtures:q} \
            2>{log:q}
        """
