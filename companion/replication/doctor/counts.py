"""What the tables of a data set hold, named as in ``results/published/datasets.csv``. No image is opened."""

from collections.abc import Callable, Mapping
from pathlib import Path

from chexreason.data import chexpert, mimic, nih
from chexreason.data.tables import ID, LABELS, TEXT, column_names, find_file, find_folder, read_table
from chexreason.labels import NIH_SHARED, NIH_TO_CHEXPERT

#: How the published facts call the splits, in their order.
SPLITS = {"training": "train", "validation": "validate", "test": "test"}


def of_mimic(root: Path) -> dict[str, int]:
    """Images and studies by split, and studies without any label."""
    root = find_folder(root, "MIMIC-CXR-JPG")
    images = read_table(mimic.table_of(root, "split"), {"dicom_id": TEXT, "study_id": ID, "split": TEXT})
    studies = images.drop_duplicates("study_id")["split"].value_counts()
    labels = read_table(mimic.table_of(root, "chexpert"), LABELS)
    return {
        "images": len(images),
        "studies": int(studies.sum()),
        "studies without any label": int(labels.isna().all(axis=1).sum()),
        **{f"{name} studies": int(studies.get(split, 0)) for name, split in SPLITS.items()},
    }


def of_chexpert(root: Path) -> dict[str, int]:
    """Studies of each split that has a table, and images and patients for training."""
    base = chexpert.base_of(root)
    found: dict[str, int] = {}
    for name, split in SPLITS.items():
        if table := chexpert.table_of(base, split):
            column = "Path" if "Path" in column_names(table) else "Study"
            folders = read_table(table, {column: TEXT})[column].str.extract(chexpert.STUDY_PATH)
            found[f"{name} studies"] = len(folders.drop_duplicates())
            if split == "train":
                found |= {f"{name} images": len(folders), f"{name} patients": int(folders[1].nunique())}
    return found


def of_nih(root: Path) -> dict[str, int]:
    """Images of each list, and test images that show none of the nine findings of Table 6."""
    root = find_folder(root, "NIH ChestX-ray14")
    split_of = nih.split_of_images(root)
    table = find_file(root, nih.TABLE, "NIH's table of images")
    frame = read_table(table, {"Image Index": TEXT, "Finding Labels": TEXT}, public=True)
    tested = frame[frame["Image Index"].map(split_of) == "test"]["Finding Labels"]
    shared = sum(any(NIH_TO_CHEXPERT.get(name) in NIH_SHARED for name in cell.split("|")) for cell in tested)
    return {
        "images for training and validation": sum(split == "train" for split in split_of.values()),
        "test images": sum(split == "test" for split in split_of.values()),
        "test images with none of the nine shared labels": len(tested) - shared,
    }


#: Data set -> how to count what its tables hold; one of your own has no published sizes to compare.
COUNTS: Mapping[str, Callable[[Path], dict[str, int]]] = {
    mimic.NAME: of_mimic,
    chexpert.NAME: of_chexpert,
    nih.NAME: of_nih,
}
