# The workflow, so that `snakemake <target>` works as typed in the root of a checkout. Elsewhere it is used as a module.
include: "workflow/Snakefile"


# Of an included file, Snakemake takes no default target.
workflow.default_target = "compare_phase2"
