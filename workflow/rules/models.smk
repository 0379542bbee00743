rule model:
    """Write the model of a public atlas as one would publish it: weights, configuration and card."""
    input:
        record=plan.published_record,
        reference="results/{name}/reference/reference.h5",
    output:
        multiext(
            "results/models/{name}/",
            card="README.md",
            weights="model.safetensors",
            config="config.json",
        ),
    log:
        "logs/{name}/model.log",
    localrule: True
    conda:
        "../../envs/training.yaml"
    params:
        checkpoint=lambda wildcards, input: checkpoint(input.record),
        output=lambda wildcards, output: Path(output.card).parent,
        code=source_digest("methmix.prediction"),
    shell:
        """
        python -m methmix.prediction \
            --describe \
            --format huggingface \
            --checkpoint {params.checkpoint:q} \
            --reference {input.reference:q} \
            --output {params.output:q} \
            2>{log:q}
        """
