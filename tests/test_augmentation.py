"""Both engines apply the same warp in the same way, and sample from the same distributions."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

from pipeline import recipe
from pipeline.training.augmentation import ENGINES, PARAMETERS, KerasEngine, Ranges, WarpEngine

GEOMETRIC = sorted(recipe.AugmentationSettings.model_fields.keys() - {"engine"})
STRONG = {
    "rotation_range": 170.0,
    "width_shift_range": 0.3,
    "height_shift_range": 0.2,
    "shear_range": 40.0,
    "zoom_range": 0.5,
}
SETTINGS = [
    *({name: STRONG[name]} for name in GEOMETRIC),
    STRONG,
    recipe.load("bn_cnn").augmentation.model_dump(exclude={"engine"}),
]


@pytest.mark.parametrize("ranges", SETTINGS, ids=lambda ranges: "+".join(ranges))
@pytest.mark.parametrize("sampled_by", ENGINES)
def test_engines_agree_on_every_image(
    ranges: Ranges, sampled_by: str, images: NDArray[np.uint8]
) -> None:
    scaled = tf.constant(images[:256] / np.float32(255))
    warps = tf.constant(ENGINES[sampled_by](ranges).sample(np.random.default_rng(1), 256))
    by_keras = KerasEngine(ranges).apply(scaled, warps).numpy()
    by_warp = WarpEngine(ranges).apply(scaled, warps).numpy()
    assert np.abs(by_keras - by_warp).max() < 1e-5
    assert np.abs(by_warp - scaled.numpy()).max() > 0.5


def test_engines_sample_from_the_same_distributions() -> None:
    by_keras = KerasEngine(STRONG).sample(np.random.default_rng(2), 5_000)
    by_warp = WarpEngine(STRONG).sample(np.random.default_rng(3), 5_000)
    for column, name in enumerate(PARAMETERS):
        p_value = stats.ks_2samp(by_keras[:, column], by_warp[:, column]).pvalue
        assert p_value > 0.001, name
        assert by_warp[:, column].std() > 0, name


def test_sampling_does_not_change_numpys_global_state() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    KerasEngine(STRONG).sample(np.random.default_rng(0), 10)
    assert np.random.random() == expected
