from snakemake.utils import min_version

min_version("9.0")


# Without --configfile the default experiment is run; a given one names its base itself, so nothing is merged into it.
if not {"base", "reference", "mixtures", "arms", "evaluation"} & set(config):

    configfile: "config/default.yaml"


# Only with --sdm apptainer; built from envs/methmix.def.
container: "envs/methmix.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/mixtures.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/repeats.smk"
include: "workflow/rules/prediction.smk"
include: "workflow/rules/benchmark.smk"


report: "workflow/report/workflow.rst"


rule compare_phase2:
    """The experiment: original and sparse against the controls on phase 2 mixtures (the default target)."""
    default_target: True
    input:
        f"results/{config['name']}/reference/reference_report.html",
        f"results/{config['name']}/mixtures/phase2_train_mixtures.h5",
        f"results/{config['name']}/phase2/comparison/report.html",


rule phase1:
    """The same experiment on mixtures of two tissues."""
    input:
        f"results/{config['name']}/reference/reference_report.html",
        f"results/{config['name']}/mixtures/phase1_train_mixtures.h5",
        f"results/{config['name']}/phase1/comparison/report.html",


rule phase3:
    """The same experiment on cell-free DNA: a background and little of other tissues, from phase 2 on."""
    input:
        f"results/{config['name']}/reference/reference_report.html",
        f"results/{config['name']}/mixtures/phase3_train_mixtures.h5",
        f"results/{config['name']}/phase3/comparison/report.html",


rule detection_limit:
    """How small a share of each tissue the arms can tell from none, in a background."""
    input:
        f"results/{config['name']}/phase2/detection/detection.html",


rule predict:
    """What the sparse arm says of the samples in the sheet that the configuration names."""
    input:
        f"results/{config['name']}/prediction/predictions.csv",


rule sweep_phase2:
    """Which learning rate is best for each arm, on validation."""
    input:
        f"results/{config['name']}/phase2/sweep/sweep.png",


rule ablate_phase2:
    """What each ingredient of the sparse arm is worth, over several seeds."""
    input:
        f"results/{config['name']}/phase2/ablation/report.html",


rule folds_phase2:
    """The experiment with other donors in the test, pooled."""
    input:
        f"results/{config['name']}/phase2/folds/report.html",


rule download:
    """Fetch the public data that config/metdecode.yaml and config/loyfer_uxm.yaml use into data/."""
    output:
        "data/metdecode/atlas_with_replicates.tsv.gz",
        "data/loyfer_uxm/Atlas.U250.l4.hg38.full.tsv.gz",
    log:
        "logs/download.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    shell:
        """
        python -m methmix.reference download --output data 2>{log:q}
        """
