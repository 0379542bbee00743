from snakemake.utils import min_version

min_version("9.0")


# Without --configfile the default experiment is run; nothing is merged into a given one.
if not workflow.configfiles:

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
include: "workflow/rules/sweep.smk"
include: "workflow/rules/prediction.smk"
include: "workflow/rules/spikes.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/benchmark.smk"


report: "workflow/report/workflow.rst"


# Each phase is a target under two names, such as phase1 and compare_phase1.
for phase, recipe in plan.experiment.mixtures.recipes.items():
    for target in (phase, f"compare_{phase}"):

        rule:
            name:
                target
            default_target: target == "compare_phase2"
            input:
                f"results/{config['name']}/reference/reference_report.html",
                f"results/{config['name']}/mixtures/{phase}_train_mixtures.h5",
                f"results/{config['name']}/{phase}/comparison/report.html",

        workflow.get_rule(target).docstring = f"Compare the arms: {recipe.words}."

    rule:
        name:
            f"donors_{phase}"
        input:
            f"results/{config['name']}/{phase}/donors/report.html",
            f"results/{config['name']}/{phase}/donors/comparison.done",

    workflow.get_rule(f"donors_{phase}").docstring = (
        f"Repeat the comparison over draws of donors: {recipe.words}."
    )


rule detection_limit:
    """Find the smallest proportion of each tissue that the arms detect in a background."""
    input:
        f"results/{config['name']}/phase2/detection/detection.html",


rule robustness:
    """Measure whether answers are surer than they may be, in situations unlike the training."""
    input:
        f"results/{config['name']}/phase2/robustness/report.html",


rule predict:
    """Predict the samples in the sheet that the configuration names with the sparse arm."""
    input:
        f"results/{config['name']}/prediction/predictions.csv",


rule spike_plasma:
    """Measure what can be seen in the controls of the samples sheet, by known amounts spiked into them."""
    input:
        f"results/{config['name']}/spikes/report.html",


rule sweep_phase2:
    """Try other values of the keys of an arm, and recommend a configuration that is chosen on validation."""
    input:
        f"results/{config['name']}/phase2/sweep/{plan.sweep_name}/sweep.html",


rule ablate_phase2:
    """Measure what each ingredient of the sparse arm contributes, over several seeds."""
    input:
        f"results/{config['name']}/phase2/ablation/report.html",


rule folds_phase2:
    """Repeat the experiment with other donors in the test, and pool them."""
    input:
        f"results/{config['name']}/phase2/folds/report.html",


rule status:
    """Print what of the experiment is done, running, failed and next."""
    input:
        plan.no_other_run,
    log:
        "logs/status.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    params:
        results=f"results/{config['name']}",
    shell:
        """
        python -m methmix.status {params.results:q} 2>{log:q}
        """
