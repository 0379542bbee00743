"""Pictures of the validation mixtures, which TensorBoard shows beside the numbers of a training."""

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from methmix import metrics
from methmix.pages.miami import miami
from methmix.pages.reliability import diagonal, reliability
from methmix.pages.style import colour, drawing, labelled_rows, percent_axis

Array = npt.NDArray[np.float64]

# Parts of the epochs after which pictures are drawn, unless that has taken a larger part of the time of the training.
_AFTER, _MOST_TIME = (0.25, 0.5, 0.75), 0.01
# Mixtures that are drawn: more of them take longer and show no more.
_DRAWN = 200
_TISSUES, _DOTS_PER_INCH = 8, 80


class Pictures:
    """Draws the predictions of an epoch a few times in a training, and after its last epoch.

    ``true`` are the true proportions of the validation mixtures, [n_mixtures, n_tissues].
    """

    def __init__(self, arm: str, tissues: list[str], true: Array, n_epochs: int) -> None:
        self._arm, self._tissues, self._true = arm, tissues, true
        self._wanted = {max(1, round(part * n_epochs)) for part in _AFTER}
        self._begun, self._spent = time.monotonic(), 0.0

    def due(self, epoch: int, last: bool) -> bool:
        """Whether the predictions of an epoch, from 1, are to be drawn."""
        allowed = self._spent <= _MOST_TIME * (time.monotonic() - self._begun)
        return last or (epoch in self._wanted and allowed)

    def add(self, to: SummaryWriter, epoch: int, predicted: Array, probability: Array | None) -> None:
        """Add pictures to TensorBoard: predicted proportions, and presence probabilities if the model has any."""
        before = time.monotonic()
        for name, figure in self._figures(predicted, probability):
            to.add_image(f"validation/{name}", _pixels(figure), epoch, dataformats="HWC")
        self._spent += time.monotonic() - before

    def _figures(self, predicted: Array, probability: Array | None) -> Iterator[tuple[str, Figure]]:
        some = slice(_DRAWN)
        yield "miami", miami(self._arm, self._tissues, self._true[some], predicted[some], split="validation")
        yield "largest_errors", largest_errors(self._arm, self._tissues, self._true, predicted)
        if probability is not None:
            yield "presence_calibration", presence_calibration(self._arm, self._true, probability)


@drawing
def largest_errors(arm: str, tissues: list[str], true: Array, predicted: Array) -> Figure:
    """Draw the tissues with the largest mean absolute error, apart by what the error is of."""
    error = np.abs(predicted - true)
    largest = np.argsort(-error.mean(axis=0), kind="stable")[:_TISSUES]
    figure = Figure(figsize=(7, 0.8 + 0.35 * len(largest)))
    axes = figure.subplots()
    left = np.zeros(len(largest))
    parts = {"where it is present or a trace": true > 0, "where it is absent": metrics.absent(true)}
    for (name, mask), alpha in zip(parts.items(), (1.0, 0.45), strict=True):
        width = np.where(mask, error, 0).mean(axis=0)[largest]
        axes.barh(range(len(largest)), width, left=left, color=colour(arm), alpha=alpha, label=name)
        left += width
    labelled_rows(axes, [tissues[column] for column in largest])
    percent_axis(axes.xaxis, decimals=2)
    axes.set(xlabel="mean absolute error", title=f"{arm}: tissues with the largest errors, validation mixtures")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@drawing
def presence_calibration(arm: str, true: Array, probability: Array) -> Figure:
    """Plot how often a tissue is present against its presence probability."""
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots()
    reliability(axes, true, probability, color=colour(arm), label="validation mixtures")
    diagonal(axes, f"{arm}: calibration of presence")
    return figure


def _pixels(figure: Figure) -> torch.Tensor:
    """Draw a figure as uint8 [height, width, 3]."""
    figure.set_dpi(_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return torch.from_numpy(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
