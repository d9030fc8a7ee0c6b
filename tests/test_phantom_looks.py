"""What a drawn chest looks like under each projection, how its drawing tools blur, and how an image is inverted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from companion.phantoms import draw, sample_case
from companion.phantoms.anatomy import SIDES, Anatomy, Chest, sample_anatomy
from companion.phantoms.canvas import Canvas, Pose


def patients(count: int = 12) -> list[Anatomy]:
    return [sample_anatomy(np.random.default_rng(seed)) for seed in range(count)]


def test_an_ap_image_magnifies_the_heart_and_lifts_diaphragm_and_clavicles() -> None:
    for anatomy in patients():
        pa, ap = Chest(anatomy, "PA"), Chest(anatomy, "AP")
        assert np.ptp(ap.heart_outline()[:, 0]) > 1.1 * np.ptp(pa.heart_outline()[:, 0])
        for side in SIDES:
            assert ap.dome_top(side) < pa.dome_top(side)
            assert ap.clavicle(side)[:, 1].mean() < pa.clavicle(side)[:, 1].mean()


def test_inverting_exchanges_black_and_white_and_leaves_marks_alone() -> None:
    case = replace(sample_case(9, 3, "C"), lesions=())
    plain = replace(case.acquisition, inverted=False, shutters=(0.0, 0.0, 0.0, 0.0), marks=())
    one = draw(replace(case, acquisition=plain), 96).astype(int)
    other = draw(replace(case, acquisition=replace(plain, inverted=True)), 96).astype(int)
    assert np.abs(one + other - 255).max() <= 1


@pytest.mark.parametrize("sigma", [0.006, 0.02, 0.10, 0.20])
def test_a_blur_is_scipys_whichever_way_it_is_computed(sigma: float) -> None:
    canvas = Canvas(224, Pose())
    image = canvas.ball(0.1, -0.1, 0.4)
    expected = ndimage.gaussian_filter(image, sigma * 112, mode="nearest", truncate=4)
    blurred = canvas.blur(image, sigma)
    assert np.abs(blurred - expected).max() < 0.035
    assert blurred.sum() == pytest.approx(image.sum(), rel=0.01)
