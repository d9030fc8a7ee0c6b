"""What a drawn chest looks like: ribs, projections, noise, and how each hospital shows an image."""

from dataclasses import replace

import numpy as np
import pytest

from companion.phantoms import draw, sample_case
from companion.phantoms.acquisition import _mottle
from companion.phantoms.anatomy import SIDES, SIGN, Anatomy, Chest, sample_anatomy
from companion.phantoms.canvas import Canvas, Pose


def patients(count: int = 12) -> list[Anatomy]:
    return [sample_anatomy(np.random.default_rng(seed)) for seed in range(count)]


def fall(arc: np.ndarray) -> np.ndarray:
    """How steeply a rib's arc falls, in degrees below the horizontal, along its way."""
    steps = np.diff(arc, axis=0)
    return np.degrees(np.arctan2(steps[:, 1], np.abs(steps[:, 0])))


@pytest.mark.parametrize("side", SIDES)
def test_ribs_fall_outwards_behind_and_more_steeply_in_front(side: str) -> None:
    for anatomy in patients():
        chest = Chest(anatomy, "PA")
        back, front = chest.ribs(side)
        for number in range(2, 8):
            outwards = SIGN[side] * (back[number, :, 0] - chest.midline)
            assert (np.diff(outwards[:-2]) > 0).all()
            middle = len(back[number]) // 2
            assert fall(back[number][:3]).mean() < 10  # near the spine a rib is level or rises a little
            assert 2 < fall(back[number][middle - 3 : middle + 3]).mean() < 45
            assert fall(front[number][4:-6]).mean() > fall(back[number][:-6]).mean()
        assert (np.diff(back[:, 0, 1]) > 0).all()


def test_an_ap_image_magnifies_the_heart_and_lifts_diaphragm_and_clavicles() -> None:
    for anatomy in patients():
        pa, ap = Chest(anatomy, "PA"), Chest(anatomy, "AP")
        assert np.ptp(ap.heart_outline()[:, 0]) > 1.1 * np.ptp(pa.heart_outline()[:, 0])
        for side in SIDES:
            assert ap.dome_top(side) < pa.dome_top(side)
            assert ap.clavicle(side)[:, 1].mean() < pa.clavicle(side)[:, 1].mean()


def test_the_shoulder_blades_lie_over_the_lungs_on_ap_images_only() -> None:
    canvas = Canvas(112, Pose())
    shares = {"PA": [], "AP": []}
    for anatomy in patients():
        for view, found in shares.items():
            chest = Chest(anatomy, view)
            blade = canvas.polygon(chest.scapula("left")) > 0.5
            found.append((blade & (canvas.polygon(chest.lung_outline("left")) > 0.5)).sum() / blade.sum())
    assert np.mean(shares["PA"]) < 0.12
    assert np.mean(shares["AP"]) > 2.5 * np.mean(shares["PA"])


@pytest.mark.parametrize("size", [112, 224])
def test_mottle_has_unit_deviation_and_is_correlated_with_its_neighbours(size: int) -> None:
    grain = _mottle(np.random.default_rng(0), size)
    assert grain.shape == (size, size)
    assert grain.std() == pytest.approx(1.0, abs=0.15)
    neighbours = np.corrcoef(grain[1:].ravel(), grain[:-1].ravel())[0, 1]
    further = np.corrcoef(grain[8:].ravel(), grain[:-8].ravel())[0, 1]
    assert 0.3 < neighbours < 0.9
    assert abs(further) < 0.05


def test_inverting_exchanges_black_and_white_and_leaves_marks_alone() -> None:
    case = replace(sample_case(9, 3, "C"), lesions=())
    plain = replace(case.acquisition, inverted=False, shutters=(0.0, 0.0, 0.0, 0.0), marks=())
    one = draw(replace(case, acquisition=plain), 96).astype(int)
    other = draw(replace(case, acquisition=replace(plain, inverted=True)), 96).astype(int)
    assert np.abs(one + other - 255).max() <= 1
