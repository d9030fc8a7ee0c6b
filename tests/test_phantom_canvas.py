"""The drawing tools: curves pass through their points, blurs keep mass, a pose moves shapes."""

import numpy as np
import pytest
from scipy import ndimage

from companion.phantoms.canvas import Canvas, Pose, spline


def test_a_spline_passes_through_its_points() -> None:
    points = np.array([[0.0, 0.0], [0.3, 0.5], [0.6, 0.1], [1.0, 0.4]])
    np.testing.assert_allclose(spline(points, 6)[::6], points, atol=1e-12)
    closed = spline(points, 6, closed=True)
    assert len(closed) == 24
    np.testing.assert_allclose(closed[::6], points, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.006, 0.02, 0.10, 0.20])
def test_a_blur_is_gaussian_whichever_way_it_is_computed(sigma: float) -> None:
    canvas = Canvas(224, Pose())
    image = canvas.ball(0.1, -0.1, 0.4)
    expected = ndimage.gaussian_filter(image, sigma * 112, mode="nearest", truncate=4)
    blurred = canvas.blur(image, sigma)
    assert np.abs(blurred - expected).max() < 0.035
    assert blurred.sum() == pytest.approx(image.sum(), rel=0.01)


def test_shapes_lie_where_the_pose_puts_them() -> None:
    pose = Pose(angle=8.0, shift_x=0.1, shift_y=-0.05, zoom=1.1)
    canvas = Canvas(128, pose)
    square = np.array([[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.4]])
    drawn = canvas.polygon(square)
    inside = (np.abs(canvas.x - 0.3) < 0.1) & (np.abs(canvas.y - 0.3) < 0.1)
    assert np.abs(drawn - inside).sum() < 0.15 * inside.sum()
    ball = canvas.ball(0.3, 0.3, 0.1)
    assert ((ball > 0) == ((canvas.x - 0.3) ** 2 + (canvas.y - 0.3) ** 2 < 0.01)).mean() > 0.999


def test_textures_and_markings_are_the_same_at_any_size() -> None:
    for noise in (lambda canvas, rng: canvas.texture(rng, 9), Canvas.markings):
        large, small = (noise(Canvas(size, Pose()), np.random.default_rng(3)) for size in (224, 112))
        assert np.corrcoef(large.reshape(112, 2, 112, 2).mean((1, 3)).ravel(), small.ravel())[0, 1] > 0.99
        assert 0.4 < large.std() < 1.0
