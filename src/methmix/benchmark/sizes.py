"""How much is measured: quickly, or with more repetitions and larger sizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes and repetitions of all measurements; numbers of regions and donors are multiples of the experiment's.

    Parameters
    ----------
    repetitions
        Of every step and of every product.
    solved, solved_by_scipy
        Mixtures for the batched NNLS, and how many of them SciPy solves.
    written
        Numbers of mixtures to write, ascending; the last one is compared with plain writing.
    writings
        Repetitions of each writing.
    loaded
        Mixtures that the straightforward loader makes.
    regions
        Multiples at which a training step is measured, ascending; 1 is one of them.
    batch_sizes
        Mixtures in a step, ascending.
    scaling_repetitions
        Of the steps at each of these sizes.
    streamed_regions, streamed
        Size of the processes that stream mixtures, and numbers of mixtures, ascending; several times what is worked
        on together, since fewer would not fill what they need.
    trained_mixtures, trained_steps
        Validation mixtures and steps of the training whose memory is measured.
    grid_regions, grid_donors
        Multiples for the cost model of larger references; regions enough that weights are found on some of them
        (`methmix.least_squares`), and donors that they can be purified, as with many of both.
    processes_regions, processes_steps, processes_arms
        Size, length and arms of the training with 1 and 2 processes.
    """

    repetitions: int
    solved: int
    solved_by_scipy: int
    written: tuple[int, ...]
    writings: int
    loaded: int
    regions: tuple[float, ...]
    batch_sizes: tuple[int, ...]
    scaling_repetitions: int
    streamed_regions: float
    streamed: tuple[int, ...]
    trained_mixtures: int
    trained_steps: int
    grid_regions: tuple[float, ...]
    grid_donors: tuple[float, ...]
    processes_regions: float
    processes_steps: int
    processes_arms: tuple[str, ...]


QUICK = Sizes(
    repetitions=7,
    solved=1000,
    solved_by_scipy=5,
    written=(75, 150, 300),
    writings=2,
    loaded=12,
    regions=(0.25, 0.5, 1),
    batch_sizes=(64, 125, 250),
    scaling_repetitions=2,
    streamed_regions=0.25,
    streamed=(1000, 4000),
    trained_mixtures=300,
    trained_steps=2,
    grid_regions=(0.35, 0.65),
    grid_donors=(1, 2),
    processes_regions=0.25,
    processes_steps=16,
    processes_arms=("sparse",),
)
FULL = Sizes(
    repetitions=25,
    solved=1000,
    solved_by_scipy=40,
    written=(250, 500, 1000),
    writings=5,
    loaded=60,
    regions=(0.25, 0.5, 1, 2),
    batch_sizes=(32, 64, 125, 250),
    scaling_repetitions=10,
    streamed_regions=1,
    streamed=(1000, 2000, 4000),
    trained_mixtures=1000,
    trained_steps=10,
    grid_regions=(0.5, 1, 2),
    grid_donors=(1, 2, 4),
    processes_regions=1,
    processes_steps=60,
    processes_arms=("original", "sparse"),
)
