# Checkpoints and the training log are no declared outputs: Snakemake deletes those when it restarts a job, and the
# training could not go on where it stopped. What is declared is the record that a training writes last. The rule's log
# is of the last attempt; logs/training.txt in the run folder is of all.
# `exec`: were the shell still there, it would die of SIGTERM at once, and its job with it, before the state is saved.


rule train:
    """Train one arm; an interrupted training goes on from its last checkpoint."""
    input:
        config=plan.arm_file,
        start=plan.starts,
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
    output:
        record="results/{name}/{phase}/{arm}/logs/training_record.json",
    log:
        "logs/{name}/train_{phase}_{arm}.log",
    benchmark:
        "results/{name}/benchmarks/train_{phase}_{arm}.tsv"
    wildcard_constraints:
        arm="|".join(names("trained")),
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=plan.record,
        options=plan.training_options,
        output=lambda wildcards, output: Path(output.record).parents[1],
        processes=lambda wildcards, resources: resources.get("gpu", 1),
        arm=plan.arm_settings,
        settings=plan.settings(),
        code=source_digest("methmix.training"),
    shell:
        """
        exec python -m methmix.training \
            --config {input.config:q} \
            --experiment {params.config:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            {params.options:q} \
            --output {params.output:q} \
            --processes {params.processes:q} \
            2>{log:q}
        """


use rule train as train_variant with:
    """Train an arm with some keys changed: a variant of the ablation, or a point of a sweep."""
    output:
        record="results/{name}/{phase}/{study}/{variant}/logs/training_record.json",
    log:
        "logs/{name}/{study}_{phase}_{variant}.log",
    benchmark:
        "results/{name}/benchmarks/{study}/train_{phase}_{variant}.tsv"
