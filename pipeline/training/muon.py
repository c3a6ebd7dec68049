"""The optimiser Muon, for convolutions too."""

import re

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule


class Muon(keras.optimizers.Muon):
    """Keras's Muon for every kernel but the output layer's, whatever its rank.

    Muon replaces the update of a matrix by a nearly orthogonal one (Jordan et al., 2024,
    https://kellerjordan.github.io/posts/muon/). Keras's own applies it to matrices only. Here a
    kernel [..., c, f] counts as the matrix [... x c, f], as in the record of cifar10-airbench. Its
    update is as large as AdamW's usually is, so that rates and decays for AdamW fit (Liu et al.,
    arXiv 2502.16982). Vectors and the layer named `output` are trained by AdamW.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        momentum: float,
        weight_decay: float,
        output: str,
    ) -> None:
        super().__init__(
            learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            exclude_layers=[rf"(^|/){re.escape(output)}/"],
        )

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        excluded = any(re.search(layer, variable.path) for layer in self.exclude_layers)
        return excluded or len(variable.shape) < 2

    def _muon_update_step(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        lr: keras.KerasTensor,
        m: keras.Variable,
    ) -> None:
        gradient, rate = (ops.cast(one, variable.dtype) for one in (gradient, lr))
        self.assign(m, self.momentum * m + gradient)
        step = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(step, (-1, variable.shape[-1]))
        update = self.lr_adjust(self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, rate * ops.reshape(update, variable.shape))
