# Checkpoints and the training log are no declared outputs: Snakemake deletes those when it restarts a job, and the
# training could not go on where it stopped. What is declared is the record that a training writes last. The rule's log
# is of the last attempt; logs/training.txt in the run folder is of all.
# `exec`: were the shell still there, it would die of SIGTERM at once, and its job with it, before the state is saved.


rule train:
    """Train one arm; an interrupted training goes on from its last checkpoint."""
    input:
        unpack(trained_arm),
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
    output:
        record="results/{name}/{phase}/{arm}/logs/training_record.json",
    log:
        "logs/{name}/train_{phase}_{arm}.log",
    benchmark:
        "results/{name}/benchmarks/train_{phase}_{arm}.tsv"
    wildcard_constraints:
        arm="original|sparse",
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=record,
        output=lambda wildcards, output: Path(output.record).parents[1],
        start=warm_start,
        settings=settings("overrides"),
        processes=lambda wildcards, resources: resources.get("gpu", 1),
        code=source_digest("training", "models", "mixtures", "reference", "files"),
    shell:
        """
        exec python -m methmix.training \
            --config {input.config:q} \
            --arm {wildcards.arm:q} \
            --experiment {params.config:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            {params.start:q} \
            --output {params.output:q} \
            --processes {params.processes:q} \
            2>{log:q}
        """


rule train_sweep:
    """Train one arm at one learning rate."""
    input:
        unpack(trained_arm),
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
    output:
        record="results/{name}/{phase}/sweep/{arm}/{rate}/logs/training_record.json",
    log:
        "logs/{name}/sweep_{phase}_{arm}_{rate}.log",
    wildcard_constraints:
        arm="original|sparse",
        rate=r"[0-9.e-]+",
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=record,
        output=lambda wildcards, output: Path(output.record).parents[1],
        start=warm_start,
        settings=settings("overrides"),
        processes=lambda wildcards, resources: resources.get("gpu", 1),
        code=source_digest("training", "models", "mixtures", "reference", "files"),
    shell:
        """
        exec python -m methmix.training \
            --config {input.config:q} \
            --arm {wildcards.arm:q} \
            --experiment {params.config:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            {params.start:q} \
            --set training.learning_rate={wildcards.rate:q} \
            --output {params.output:q} \
            --processes {params.processes:q} \
            2>{log:q}
        """


rule train_variant:
    """Train one variant of the ablation."""
    input:
        unpack(trained_arm),
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
    output:
        record="results/{name}/{phase}/ablation/{variant}/logs/training_record.json",
    log:
        "logs/{name}/ablation_{phase}_{variant}.log",
    conda:
        "../../envs/training.yaml"
    threads: 1
    params:
        config=record,
        output=lambda wildcards, output: Path(output.record).parents[1],
        start=warm_start,
        settings=settings("overrides"),
        changed=lambda wildcards: [
            f"--set={key}={json.dumps(value)}"
            for key, value in ABLATION[wildcards.variant].set.items()
        ],
        processes=lambda wildcards, resources: resources.get("gpu", 1),
        code=source_digest("training", "models", "mixtures", "reference", "files"),
    shell:
        """
        exec python -m methmix.training \
            --config {input.config:q} \
            --experiment {params.config:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            {params.start:q} \
            {params.changed:q} \
            --output {params.output:q} \
            --processes {params.processes:q} \
            2>{log:q}
        """
