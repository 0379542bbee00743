# What an evaluation reads and writes, whatever is evaluated.
TESTED = {
    "reference": "results/{name}/reference/reference.h5",
    "validation": "results/{name}/mixtures/{phase}_validation_mixtures.h5",
    "test": "results/{name}/mixtures/{phase}_test_mixtures.h5",
}
EVALUATED = {
    "metrics": "metrics.json",
    "predictions": "predictions.csv",
    "per_tissue": "per_tissue.csv",
    "per_mixture": "per_mixture.csv",
    "by_abundance": "by_abundance.csv",
    "tradeoff": "tradeoff.csv",
}


rule evaluate_control:
    """Evaluate a control on the test mixtures."""
    input:
        **TESTED,
    output:
        multiext("results/{name}/{phase}/{arm}/evaluation/", **EVALUATED),
    log:
        "logs/{name}/evaluate_{phase}_{arm}.log",
    benchmark:
        "results/{name}/benchmarks/evaluate_{phase}_{arm}.tsv"
    wildcard_constraints:
        arm="|".join(names("control", "bound", "trivial", of_main=False)),
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=plan.record,
        options=["--arm={arm}"],
        output=lambda wildcards, output: Path(output.metrics).parent,
        settings=plan.settings("evaluation"),
        code=source_digest("methmix.evaluation"),
    shell:
        """
        python -m methmix.evaluation \
            --config {params.config:q} \
            {params.options:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            --test {input.test:q} \
            --output {params.output:q} \
            2>{log:q}
        """


use rule evaluate_control as evaluate_part with:
    """Evaluate a control that uses the settings of the sparse arm: its least squares or its marker regions."""
    input:
        **TESTED,
        arm=plan.arm_file,
    wildcard_constraints:
        arm="|".join(names("control", of_main=True)),
    params:
        arm=plan.arm_settings,


use rule evaluate_control as evaluate_model with:
    """Evaluate a trained arm on the same test mixtures through the same code."""
    input:
        **TESTED,
        record="results/{name}/{phase}/{arm}/logs/training_record.json",
    wildcard_constraints:
        arm="|".join(names("trained")),
    conda:
        "../../envs/training.yaml"
    params:
        options=plan.evaluation_options,


use rule evaluate_model as evaluate_variant with:
    """Evaluate a variant of the ablation or a point of a sweep on the same test mixtures."""
    input:
        **TESTED,
        record="results/{name}/{phase}/{study}/{variant}/logs/training_record.json",
    output:
        multiext("results/{name}/{phase}/{study}/{variant}/evaluation/", **EVALUATED),
    log:
        "logs/{name}/evaluate_{phase}_{study}_{variant}.log",
    benchmark:
        "results/{name}/benchmarks/{study}/evaluate_{phase}_{variant}.tsv"
