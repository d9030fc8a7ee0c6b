"""How long a phantom film takes on one core: ``OMP_NUM_THREADS=1 python benchmarks/phantom_speed.py``.

The budget is 30 ms at 224 pixels. Processor time is printed beside wall time, since the machine may be busy.
"""

import time

import numpy as np

from companion.phantoms import HOSPITALS, draw, draw_with_masks, sample_case


def measure(function, cases, **options):  # type: ignore[no-untyped-def]
    """Median wall and processor milliseconds of a call."""
    function(cases[0], **options)
    wall, cpu = [], []
    for case in cases:
        start, busy = time.perf_counter(), time.process_time()
        function(case, **options)
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - busy))
    return float(np.median(wall)), float(np.median(cpu))


def main() -> None:
    """Print medians over 90 cases of all hospitals."""
    names = sorted(HOSPITALS)
    cases = [sample_case(11, index, names[index % len(names)]) for index in range(90)]
    for label, function, size in (("draw", draw, 168), ("draw", draw, 224), ("draw_with_masks", draw_with_masks, 224)):
        wall, cpu = measure(function, cases, size=size)
        print(f"{label:16} {size} px: median {wall:.1f} ms wall, {cpu:.1f} ms processor time")


if __name__ == "__main__":
    main()
