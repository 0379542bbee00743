rule evaluate_model:
    """Evaluate a trained arm on the test mixtures."""
    input:
        record="results/{name}/{phase}/{arm}/logs/training_record.json",
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
        test="results/{name}/mixtures/{phase}_test_mixtures.h5",
    output:
        metrics="results/{name}/{phase}/{arm}/evaluation/metrics.json",
        predictions="results/{name}/{phase}/{arm}/evaluation/predictions.csv",
        per_tissue="results/{name}/{phase}/{arm}/evaluation/per_tissue.csv",
        per_mixture="results/{name}/{phase}/{arm}/evaluation/per_mixture.csv",
        by_abundance="results/{name}/{phase}/{arm}/evaluation/by_abundance.csv",
        tradeoff="results/{name}/{phase}/{arm}/evaluation/tradeoff.csv",
    log:
        "logs/{name}/evaluate_{phase}_{arm}.log",
    benchmark:
        "results/{name}/benchmarks/evaluate_{phase}_{arm}.tsv"
    wildcard_constraints:
        arm="original|sparse",
    conda:
        "../../envs/training.yaml"
    params:
        config=record,
        checkpoint="results/{name}/{phase}/{arm}/checkpoints/checkpoint_best.pt",
        output=lambda wildcards, output: Path(output.metrics).parent,
        settings=settings("evaluation"),
        code=source_digest("evaluation", "models", "training", "files"),
    shell:
        """
        python -m methmix.evaluation \
            --config {params.config:q} \
            --arm {wildcards.arm:q} \
            --checkpoint {params.checkpoint:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            --test {input.test:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule evaluate_control:
    """Evaluate a control on the same test mixtures through the same code."""
    input:
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
        test="results/{name}/mixtures/{phase}_test_mixtures.h5",
    output:
        metrics="results/{name}/{phase}/{arm}/evaluation/metrics.json",
        predictions="results/{name}/{phase}/{arm}/evaluation/predictions.csv",
        per_tissue="results/{name}/{phase}/{arm}/evaluation/per_tissue.csv",
        per_mixture="results/{name}/{phase}/{arm}/evaluation/per_mixture.csv",
        by_abundance="results/{name}/{phase}/{arm}/evaluation/by_abundance.csv",
        tradeoff="results/{name}/{phase}/{arm}/evaluation/tradeoff.csv",
    log:
        "logs/{name}/evaluate_{phase}_{arm}.log",
    benchmark:
        "results/{name}/benchmarks/evaluate_{phase}_{arm}.tsv"
    wildcard_constraints:
        arm="nnls|nnls_cut|em|uniform|all_absent|oracle",
    conda:
        "../../envs/pipeline.yaml"
    params:
        config=record,
        output=lambda wildcards, output: Path(output.metrics).parent,
        settings=settings("evaluation"),
        code=source_digest("evaluation", "files"),
    shell:
        """
        python -m methmix.evaluation \
            --config {params.config:q} \
            --arm {wildcards.arm:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            --test {input.test:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule evaluate_least_squares:
    """Evaluate the sparse arm without its network, for the ablation."""
    input:
        arm=lambda wildcards: config["arms"][wildcards.phase]["sparse"],
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
        test="results/{name}/mixtures/{phase}_test_mixtures.h5",
    output:
        metrics="results/{name}/{phase}/least_squares/evaluation/metrics.json",
        predictions="results/{name}/{phase}/least_squares/evaluation/predictions.csv",
        per_tissue="results/{name}/{phase}/least_squares/evaluation/per_tissue.csv",
        per_mixture="results/{name}/{phase}/least_squares/evaluation/per_mixture.csv",
        by_abundance="results/{name}/{phase}/least_squares/evaluation/by_abundance.csv",
        tradeoff="results/{name}/{phase}/least_squares/evaluation/tradeoff.csv",
    log:
        "logs/{name}/evaluate_{phase}_least_squares.log",
    conda:
        "../../envs/training.yaml"
    params:
        config=record,
        output=lambda wildcards, output: Path(output.metrics).parent,
        settings=settings("evaluation", "overrides"),
        code=source_digest("evaluation", "training", "reference", "files"),
    shell:
        """
        python -m methmix.evaluation \
            --config {params.config:q} \
            --arm least_squares \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            --test {input.test:q} \
            --output {params.output:q} \
            2>{log:q}
        """


rule evaluate_variant:
    """Evaluate one variant of the ablation on the same test mixtures."""
    input:
        record="results/{name}/{phase}/ablation/{variant}/logs/training_record.json",
        reference="results/{name}/reference/reference.h5",
        validation="results/{name}/mixtures/{phase}_validation_mixtures.h5",
        test="results/{name}/mixtures/{phase}_test_mixtures.h5",
    output:
        metrics="results/{name}/{phase}/ablation/{variant}/evaluation/metrics.json",
        predictions="results/{name}/{phase}/ablation/{variant}/evaluation/predictions.csv",
        per_tissue="results/{name}/{phase}/ablation/{variant}/evaluation/per_tissue.csv",
        per_mixture="results/{name}/{phase}/ablation/{variant}/evaluation/per_mixture.csv",
        by_abundance="results/{name}/{phase}/ablation/{variant}/evaluation/by_abundance.csv",
        tradeoff="results/{name}/{phase}/ablation/{variant}/evaluation/tradeoff.csv",
    log:
        "logs/{name}/evaluate_{phase}_ablation_{variant}.log",
    conda:
        "../../envs/training.yaml"
    params:
        config=record,
        arm=lambda wildcards: ABLATION[wildcards.variant].arm,
        checkpoint="results/{name}/{phase}/ablation/{variant}/checkpoints/checkpoint_best.pt",
        output=lambda wildcards, output: Path(output.metrics).parent,
        settings=settings("evaluation"),
        code=source_digest("evaluation", "models", "training", "files"),
    shell:
        """
        python -m methmix.evaluation \
            --config {params.config:q} \
            --arm {params.arm:q} \
            --checkpoint {params.checkpoint:q} \
            --reference {input.reference:q} \
            --validation {input.validation:q} \
            --test {input.test:q} \
            --output {params.output:q} \
            2>{log:q}
        """
