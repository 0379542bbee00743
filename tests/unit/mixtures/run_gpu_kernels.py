"""Run the kernels for a GPU without one, in a process of its own, since Triton chooses how when it is imported.

``draw FILE``, with TRITON_INTERPRET=1, draws what the NPZ file has the inputs of, and replaces them by the results;
``compile FOLDER``, without, writes there the code of both kernels for GPUs of two compute capabilities.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from methmix.mixtures import drawn_donors, gpu, gpu_kernel, reads

# Of the arguments, in their order.
_TYPES = {
    "_draw": "*i32 *fp32 *i32 *fp32 *i64 *fp32 *fp32 *i32 *fp32 *fp32 *fp32 i32 i32 fp32",
    "_deviate": "*fp32 *fp32 *i32 *fp32 *i64 *fp32 *fp32 i32 i32 fp32 fp32 fp32 fp32 fp32",
}
_CPU = torch.device("cpu")


def draw(path: str) -> None:
    inputs = dict(np.load(path))
    kernels = gpu.kernels(_CPU)
    assert kernels is gpu_kernel
    results = {}
    for name in {key.partition("-")[0] for key in inputs}:
        own = {key.partition("-")[2]: values for key, values in inputs.items() if key.startswith(f"{name}-")}
        if name == "donors":
            profiles = (torch.from_numpy(own[part]) for part in ("mean", "variance"))
            plan = drawn_donors.DonorPlan(own["tissue"], own["size"], None, own["seeds"])
            new = torch.empty(len(own["tissue"]), own["mean"].shape[1])
            drawn_donors._in_kernel(kernels, *profiles, plan, new)
            results[name] = new.numpy()
        else:
            fractions, coverage = (torch.from_numpy(own[part]) for part in ("fractions", "coverage"))
            drawn = reads._in_kernel(kernels, own["weights"], fractions, own["mean_depth"], coverage, own["seeds"])
            results[name] = torch.stack(drawn).numpy()
    np.savez(path, **results)


def compile_for_gpus(folder: str) -> None:
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    for name, types in _TYPES.items():
        kernel = getattr(gpu_kernel, name)
        signature = dict(zip(kernel.arg_names, types.split(), strict=True))
        source = ASTSource(kernel, signature)
        for capability in (80, 90):
            code = compile(source, target=GPUTarget("cuda", capability, 32), options=gpu_kernel._OPTIONS).asm["ptx"]
            Path(folder, f"{name}_{capability}.ptx").write_text(code)


if __name__ == "__main__":
    {"draw": draw, "compile": compile_for_gpus}[sys.argv[1]](sys.argv[2])
